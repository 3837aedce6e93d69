"""cbis_ddsm: labels, splits and patients of the tables, swapped files, masks, and what cannot be used."""

import shutil

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data import cbis_ddsm
from percuss.data.cbis_sample import HEADER, row
from percuss.data.dicom_write import uid, write_dicom
from percuss.data.spec import load_data


@pytest.fixture
def sample(tmp_path):
    return cbis_ddsm.miniature(tmp_path).removesuffix("?size=16")


def test_lesions(sample):
    images = load_data(sample)
    assert images.classes == ("benign", "malignant") and set(images.splits) == {"train", "test"}
    assert {e.id for e in images.entries if e.target == 1} == {
        "calc-train/P_00000_LEFT_CC_1",
        "mass-test/P_00002_LEFT_CC_1",
    }
    for name in images.ids:
        case = images.read(name)
        # Whatever file or column it stands in, the cut-out is the one that is no mask.
        assert case.pixels.shape == (1, 12, 12) and len(np.unique(case.pixels)) > 100
        assert case.range == PixelRange(0, 65535) and case.mask is None


def test_patients_are_those_of_the_tables_over_both_kinds(sample):
    groups = {e.id: e.group for e in load_data(sample).entries}
    assert groups["mass-train/P_00000_LEFT_CC_1"] == groups["calc-train/P_00000_LEFT_CC_2"] == "P_00000"


def test_patients_of_both_splits_stay_in_one(sample):
    for home, kept, gone in (("test", "mass-test", "calc-train"), ("train", "calc-train", "mass-test")):
        images = load_data(sample, both=home)
        assert f"{kept}/P_00001_LEFT_CC_1" in images.ids and f"{gone}/P_00001_LEFT_CC_1" not in images.ids
        assert images.dropped[f"lesions of patients in both splits, kept in {home} alone"] == 1
    with pytest.raises(DataError, match=r"a group stands in the splits .*: P_00001"):
        load_data(sample, both="refuse")


def test_kind_and_callback(sample):
    assert {name.split("-")[0] for name in load_data(sample, kind="calc").ids} == {"calc"}
    fewer = load_data(sample, without_callback="drop")
    assert fewer.dropped["benign without callback"] == 3 and len(fewer) < len(load_data(sample))


def test_validation_out_of_train(sample):
    images = load_data(sample, val=0.5, both="train")
    assert set(images.splits) == {"train", "val", "test"}
    homes = {e.group: e.split for e in images.entries}
    assert all(homes[e.group] == e.split for e in images.entries)


def test_mammograms_with_their_masks(sample):
    images = load_data(sample, image="full")
    assert len(images) == 7
    entry = images.entry("mass-test/P_00002_LEFT_CC")
    assert entry.target == 1, "malignant where any lesion is"
    case = images.read(entry.id)
    expected = np.zeros((40, 30), int)
    expected[5:22, 8:20] = 1
    assert case.pixels.shape == (1, 40, 30) and np.array_equal(case.mask, expected)
    # This mask was stored at twice the size.
    other = images.read("mass-test/P_00001_LEFT_CC")
    assert other.mask.shape == (40, 30) and other.mask.sum() == 12 * 12 and other.mask[5, 8] == 1
    assert load_data(sample, image="full", size=10).read(entry.id).mask.shape == (10, 10)


def test_partial_downloads_are_counted(sample, tmp_path):
    before = load_data(sample)
    shutil.rmtree(tmp_path / "CBIS-DDSM" / "Mass-Test_P_00002_LEFT_CC_2")
    images = load_data(sample)
    assert len(images) == len(before) - 1 and images.dropped["image not in the folder"] == 2
    assert images.fingerprint(images.ids[0]) == before.fingerprint(images.ids[0])


def test_only_masks_or_only_cut_outs(sample, tmp_path):
    name = "mass-train/P_00004_LEFT_CC_1"
    for path in (tmp_path / "CBIS-DDSM" / "Mass-Training_P_00004_LEFT_CC_1").rglob("*.dcm"):
        write_dicom(path, np.eye(6, dtype=np.uint8), SeriesInstanceUID=uid(4, 4, 1), SOPInstanceUID=uid(6, 4))
    with pytest.raises(DataError, match="has no cut-out image: 2 files, all of two values"):
        load_data(sample).read(name)
    for path in (tmp_path / "CBIS-DDSM" / "Mass-Training_P_00004_LEFT_CC_1").rglob("*.dcm"):
        write_dicom(path, np.arange(36, dtype=np.uint16).reshape(6, 6), SeriesInstanceUID=uid(4, 4, 1))
    with pytest.raises(DataError, match="has no mask"):
        load_data(sample, image="full").read(name.removesuffix("_1"))


def test_tables_that_cannot_be_used(sample, tmp_path):
    table = tmp_path / "mass_case_description_test_set.csv"
    text = table.read_text()
    table.write_text(text.replace("BENIGN,", "UNPROVEN,"))
    with pytest.raises(DataError, match=r"line \d+ of mass_case.* has an unknown pathology: UNPROVEN"):
        load_data(sample)
    table.write_text(text + text.splitlines()[1] + text.splitlines()[2] + text.splitlines()[3] + "\n")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / table.name).write_text(text)
    with pytest.raises(DataError, match="two tables of one name differ"):
        load_data(sample)
    shutil.rmtree(tmp_path / "copy")
    lone = row("P_1", 1, "BENIGN", title="a", series=(uid(1), uid(2), uid(3)))
    table.write_text(
        "\n".join([HEADER.format(density="breast_density"), lone.replace("a_1/" + uid(1) + "/" + uid(2) + "/", "")])
    )
    with pytest.raises(DataError, match="has no path with a series"):
        load_data(sample)


def test_nothing_to_read(tmp_path, sample):
    with pytest.raises(DataError, match="holds no table of CBIS-DDSM"):
        load_data(f"cbis_ddsm:{tmp_path / 'CBIS-DDSM'}")
    shutil.rmtree(tmp_path / "CBIS-DDSM")
    with pytest.raises(DataError, match="holds no DICOM files.*JPEG"):
        load_data(sample)
