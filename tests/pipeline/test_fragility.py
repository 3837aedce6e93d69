"""Smallest flips of an audit against the contrast of its images, on a model whose boundary is known."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import percuss
from percuss.core.errors import RunError, UsageError


class Brightness(nn.Module):
    """Class 1 where the mean is above a half."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, images):
        gap = 20 * self.scale * (images.mean((1, 2, 3)) - 0.5)
        return torch.stack([-gap, gap], 1)


def put(folder, gap, contrast):
    """Twelve images of two classes, means ``gap`` from a half and values ``contrast`` to either side of the mean."""
    for label in (0, 1):
        (folder / "test" / f"{label}").mkdir(parents=True)
        for number in range(6):
            board = np.indices((16, 16)).sum(0) % 2 * 2 - 1
            values = 0.5 + (2 * label - 1) * (gap + 0.002 * number) + contrast * board
            grey = Image.fromarray(np.round(255 * values).astype(np.uint8))
            grey.save(folder / "test" / f"{label}" / f"{number}.png")
    return f"folder:{folder}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home, found = tmp_path_factory.mktemp("sets"), {}
    for name, gap, contrast in (("ct", 0.02, 0.05), ("mnist", 0.04, 0.3)):
        spec = put(home / name, gap, contrast)
        run = percuss.audit(
            data=spec,
            model=Brightness(),
            out=home / f"{name}-run",
            attacks=["fgsm"],
            budgets="linf=1/255",
            checks="off",
        )
        found[name] = (run.path, percuss.smallest_flips(run.path, model=Brightness(), data=percuss.load_data(spec)))
    return found


def test_sizes_are_the_distance_to_the_boundary_per_value(runs):
    """The mean moves by as much as every value does, so both measures are the distance of the mean from a half."""
    for name, gap, contrast in (("ct", 0.02, 0.05), ("mnist", 0.04, 0.3)):
        found = runs[name][1].found
        assert found.n_right == found.n == 12 and found.shape == (1, 16, 16)
        assert found.contrast == pytest.approx(contrast, abs=0.003)
        for size in found.sizes:
            assert size.absolute.value == pytest.approx(gap + 0.004, abs=0.004), (name, size.norm)
            assert size.relative.value == pytest.approx(size.absolute.value / found.contrast)
            assert size.n_censored == 0


def test_the_record_holds_what_was_found_and_a_second_call_gives_the_same(runs):
    path, fragile = runs["ct"]
    record = json.loads((path / "fragility.json").read_text())
    assert record["sizes"][0]["absolute"]["value"] == fragile.found.sizes[0].absolute.value
    assert record["kind"] == "percuss-fragility-1" and record["n_right"] == 12
    again = percuss.smallest_flips(path, model=Brightness(), data=percuss.load_data(f"folder:{path.parent / 'ct'}"))
    assert again.rows.equals(fragile.rows) and again.found == fragile.found


def test_a_faint_set_is_more_fragile_in_grey_levels_and_less_against_its_contrast(runs):
    found = percuss.fragility({name: path for name, (path, _) in runs.items()}, controls=["mnist"])
    assert [(item.data, item.control, item.norm) for item in found] == [("ct", "mnist", "linf"), ("ct", "mnist", "l2")]
    for item in found:
        assert item.absolute.high < 0 < item.relative.low
        assert item.answer == "absolute: ct is more fragile; against contrast: ct is less fragile"


def test_wrong_use_is_named(runs, tmp_path):
    paths = {name: path for name, (path, _) in runs.items()}
    with pytest.raises(UsageError, match="control is not among the runs: mnits.*mnist"):
        percuss.fragility(paths, controls=["mnits"])
    with pytest.raises(UsageError, match="a set and a control are needed"):
        percuss.fragility({"mnist": paths["mnist"]}, controls=["mnist"])
    with pytest.raises(RunError, match="smallest flips of the run are not known"):
        percuss.fragility({**paths, "mri": tmp_path}, controls=["mnist"])
    with pytest.raises(UsageError, match="no such norm for smallest flips: l0"):
        percuss.smallest_flips(paths["ct"], norms=["l0"])
    with pytest.raises(RunError, match="the model is not that of the run"):
        percuss.smallest_flips(
            paths["ct"], model=Brightness(2.0), data=percuss.load_data(f"folder:{paths['ct'].parent / 'ct'}")
        )
