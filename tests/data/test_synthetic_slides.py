"""Tiles of synthetic slides: the contract, splits by slide, the truth from the outlines, one slide at a time."""

from types import ModuleType

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data import synthetic
from percuss.data.spec import load_data
from percuss.data.tissue import slide_tiles
from percuss.data.tissue.nuclei import NEOPLASTIC
from percuss.data.tissue.slide import draw_slide
from percuss.testing.datasets import check_dataset

SPEC = "synthetic:slides?slides=3&side=256&size=64&mpp=1&seed=3"


def test_contract(tmp_path):
    module = ModuleType("slides", synthetic.__doc__)
    module.open_set = synthetic.open_set
    module.miniature = lambda folder: SPEC
    check_dataset(module, tmp_path)


def test_splits_hold_tumour_and_some_slides_none():
    images = load_data("synthetic:slides?slides=10&side=512&size=64")
    assert images.task == "heatmap" and images.cell == 4 and images.classes == ("normal", "tumour")
    homes = {entry.group: entry.split for entry in images.entries}
    assert sorted(homes) == [f"S{n:02d}" for n in range(1, 11)]
    assert [list(homes.values()).count(name) for name in ("train", "val", "test")] == [6, 2, 2]
    ill = {entry.group for entry in images.entries if 1 in entry.target}
    assert {homes[name] for name in ill} == {"train", "val", "test"} and len(ill) == 8
    # Glass alone is left out: the corners of a slide lie outside its tissue.
    assert len(images) < 10 * 64 and images.ids[0].count("-") == 2


def test_truth_is_half_of_a_cell_within_the_outline():
    images = load_data(SPEC)
    name = next(entry.group for entry in images.entries if 1 in entry.target)
    drawn = draw_slide(slide_tiles._seed(images.settings, name), side=256, tumours=1, mpp=1.0)
    shapely = pytest.importorskip("shapely", reason="the extra wsi is not installed")
    polygon = shapely.Polygon(drawn.outlines[0][:, ::-1])
    whole = np.zeros((64, 64), np.uint8)
    for entry in images.entries:
        if entry.group == name:
            case = images.read(entry.id)
            row, column = (int(text) for text in entry.id.split("-")[1:])
            whole[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = case.target
            left = drawn.pixels[:, row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
            assert (case.pixels == left).all() and case.spacing_mm == (0.001, 0.001)
    boxes = [[shapely.box(4 * c, 4 * r, 4 * c + 4, 4 * r + 4) for c in range(64)] for r in range(64)]
    share = np.array([[polygon.intersection(cell).area / 16 for cell in row] for row in boxes])
    assert ((share >= 0.5) == whole).all() and whole.sum() > 100
    # Neoplastic nuclei have their centres inside the outline: nearly all of their pixels lie in cells of tumour.
    nuclei = drawn.masks[NEOPLASTIC] > 0
    assert np.kron(whole, np.ones((4, 4)))[nuclei].mean() > 0.95


def test_each_slide_is_drawn_once_when_read_in_order(monkeypatch):
    drawn = []

    def count(seed, **options):
        drawn.append(seed)
        return draw_slide(seed, **options)

    monkeypatch.setattr(slide_tiles, "draw_slide", count)
    images = load_data(SPEC)
    assert drawn == []  # nothing is drawn before a tile is asked for
    images.subset(split="test").tensors()
    first = images.subset(split="test").ids[0]
    assert len(drawn) == 1 and images.read(first).group == images.subset(split="test").read(first).group
    assert len(drawn) == 1
    got, targets = images.tensors()
    assert len(drawn) <= 4 and targets.shape[1:] == (16, 16) and got.shape[1:] == (3, 64, 64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("slides=2", "slides must be a whole number"),
        ("side=500", "multiple of 256"),
        ("size=130", "whole cells"),
        ("side=256&size=512", "no more than the slide"),
        ("mpp=0", "mpp must be micrometres"),
        ("tumours=0", "tumours must be a whole number"),
        ("side=256&mpp=0.2", "too small for its tumours"),
        ("task=segment", "task has an unknown value"),
        ("tiles=3", "unknown option"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        load_data(f"synthetic:slides?{options}")
