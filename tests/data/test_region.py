"""Regions: masks as stored, one file for all, tissue by saturation."""

import numpy as np
import pytest
import torch
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Case, PixelRange
from percuss.data.region import open_region, otsu, tissue
from percuss.data.spec import load_data


def case(mask=None, side=8):
    return Case("a", np.zeros((3, side, side), np.uint8), PixelRange(), 0, mask=mask)


def stained(side=16):
    """Pink on the left, nearly white on the right."""
    image = torch.full((1, 3, side, side), 0.95)
    image[:, :, :, : side // 2] = torch.tensor([0.8, 0.4, 0.7]).view(3, 1, 1)
    return image + torch.linspace(-0.02, 0.02, side).view(side, 1)


def test_otsu_cuts_between_two_groups():
    assert 0.1 < otsu(np.array([0.1] * 30 + [0.7] * 10)) < 0.7
    values = np.concatenate([np.linspace(0.02, 0.1, 50), np.linspace(0.5, 0.9, 50)])
    assert 0.1 < otsu(values) < 0.5


def test_tissue_is_the_stained_part():
    found = tissue(stained())
    assert bool(found[0, :, :8].all()) and not bool(found[0, :, 8:].any())
    assert bool(tissue(stained()[:, :, :, :8]).all())  # a patch of tissue alone is tissue alone
    assert not bool(tissue(stained()[:, :, :, 8:]).any())
    with pytest.raises(DataError, match="colour"):
        tissue(torch.rand(1, 1, 4, 4))


def test_masks_of_a_table_and_of_a_file(tmp_path):
    from percuss.data import csv

    images = load_data(csv.miniature(tmp_path / "set"))
    first = images.read(images.ids[0])
    found = open_region("mask").of(first, first.unit())
    assert torch.equal(found, torch.from_numpy(first.mask > 0)) and 0 < int(found.sum()) < found.numel()
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "mask.png")
    region = open_region(str(tmp_path / "mask.png"))
    assert torch.equal(region.of(case(), torch.zeros(3, 8, 8)), torch.eye(8, dtype=torch.bool))
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "other.png")
    assert open_region(str(tmp_path / "other.png")).key != region.key


def test_regions_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="no such region"):
        open_region("tissues")
    with pytest.raises(DataError, match="has no mask"):
        open_region("mask").of(case(), torch.zeros(3, 8, 8))
    with pytest.raises(DataError, match="empty"):
        open_region("mask").of(case(np.zeros((8, 8), int)), torch.zeros(3, 8, 8))
    with pytest.raises(DataError, match="another size"):
        open_region("mask").of(case(np.ones((4, 4), int)), torch.zeros(3, 8, 8))
