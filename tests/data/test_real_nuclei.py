"""The class maps of CoNSeP and MoNuSeg, a few images each."""

import os
from pathlib import Path

import pytest

from percuss.data.spec import load_data
from percuss.data.tiles import CUT

REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
KINDS = "background|miscellaneous|inflammatory|epithelial|spindle"


@pytest.mark.real
def test_consep():
    home = REAL / "consep_nuclei"
    if not home.is_dir():
        pytest.skip(f"no CoNSeP at {home}; set PERCUSS_REAL_DATA")
    images = load_data(
        f"csv:{home}/labels.csv?task=segment&path_column=image&mask_column=type_mask&instances_column=inst_mask&names={KINDS}"
    )
    assert len(images) == 544 and set(images.splits) == {"train", "val", "test"} and images.classes[4] == "spindle"
    assert sum(entry.split == "test" for entry in images.entries) == 112
    got = images.collect(["images/test_1_000.jpg", *images.spread(5)])
    assert not got.bad and got.images.shape[1:] == (3, 256, 256)
    # As PROVENANCE's table has them: nuclei, and pixels of each kind.
    assert got.instances[0].unique().numel() - 1 == 83
    assert [int((got.targets[0] == kind).sum()) for kind in (1, 2, 3, 4)] == [0, 427, 15312, 10799]


@pytest.mark.real
def test_monuseg():
    home = REAL / "monuseg_nuclei"
    if not home.is_dir():
        pytest.skip(f"no MoNuSeg at {home}; set PERCUSS_REAL_DATA")
    spec = f"csv:{home}/labels.csv?task=segment&path_column=image&instances_column=inst_mask"
    whole = load_data(spec)
    assert whole.classes == ("background", "nucleus") and whole.read(whole.ids[0]).instances.max() == 398
    images = load_data(spec, tile=256)
    assert len(images) == 9 * len(whole) and images.dropped == {CUT: 7 * len(whole)}
    got = images.collect(images.spread(4))
    assert not got.bad and got.targets.shape == (4, 256, 256) and 0.02 < (got.targets == 1).float().mean() < 0.6
