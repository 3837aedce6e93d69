"""chestxray14: a finding against the rest or all of them, official lists by patient, files with colour channels."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data import chestxray14
from percuss.data.spec import load_data


@pytest.fixture
def spec(tmp_path):
    return chestxray14.miniature(tmp_path)


def test_pneumothorax_against_the_rest(spec):
    images = load_data(spec)
    assert images.classes == ("no pneumothorax", "pneumothorax") and len(images) == 12
    assert [entry.target for entry in images.entries[:6]] == [1, 0, 1, 0, 0, 0]
    assert images.splits == ("train", "test") and len(images.subset(split="test")) == 4
    assert images.entry("00000003_001.png").group == "3"
    pixels, _ = images.tensors()
    assert pixels.shape == (12, 1, 32, 32)  # two of the files have colour and alpha
    assert load_data(spec, channels="rgb").tensors()[0].shape == (12, 3, 32, 32)


def test_colour_files_give_their_grey(spec):
    case = load_data(spec).read("00000003_000.png")
    assert np.array_equal(case.pixels[0], (np.arange(32 * 32).reshape(32, 32) // 5 + 4).astype(np.uint8))


def test_other_questions(spec):
    healthy = load_data(spec, against="healthy")
    assert [entry.target for entry in healthy.entries] == [1, 0, 1, 0] * 2
    assert healthy.dropped == {"other findings": 4}
    images = load_data(spec, label="all")
    assert images.task == "multilabel" and len(images.classes) == 14 and images.classes[11] == "pleural thickening"
    assert [images.classes[n] for n in np.flatnonzero(images.entries[2].target)] == ["effusion", "pneumothorax"]
    assert sum(images.entries[1].target) == 0
    assert load_data(spec, label="hernia").classes == ("no hernia", "hernia")
    with pytest.raises(DataError, match="unknown finding: hernie.*hernia"):
        load_data(spec, label="hernie")
    with pytest.raises(DataError, match="against goes with a single finding"):
        load_data(spec, label="all", against="healthy")
    with pytest.raises(DataError, match="label=fibrosis has a single class"):
        load_data(spec, label="fibrosis")


def test_splits_keep_patients_whole(spec, tmp_path):
    for images in (load_data(spec, val=0.3), load_data(f"{spec}?split=0.4,0.3,0.3&seed=2")):
        home = {}
        assert set(images.splits) == {"train", "val", "test"}
        assert all(home.setdefault(entry.group, entry.split) == entry.split for entry in images.entries)
    (tmp_path / "train_val_list.txt").unlink()
    with pytest.raises(DataError, match=r"only one of the official lists.*train.*\?split="):
        load_data(spec)
    (tmp_path / "test_list.txt").unlink()
    assert load_data(spec).splits == ()


def test_lists_that_contradict(spec, tmp_path):
    listing = tmp_path / "train_val_list.txt"
    text = listing.read_text()
    listing.write_text(text.replace("00000002_000.png\n", ""))
    with pytest.raises(DataError, match="1 images of the table stand in neither official list: 00000002_000.png"):
        load_data(spec)
    listing.write_text(text + "00000006_000.png\n")
    with pytest.raises(DataError, match="an image stands in both official lists: 00000006_000.png"):
        load_data(spec)
    listing.write_text(text + "00000006_000.png\n")
    (tmp_path / "test_list.txt").write_text("00000005_000.png\n00000005_001.png\n00000006_001.png\n")
    with pytest.raises(DataError, match="a group stands in the splits train and test: 6"):
        load_data(spec)


def test_the_table_of_2017_and_a_partial_download(spec, tmp_path):
    table = tmp_path / "Data_Entry_2017_v2020.csv"
    (tmp_path / "Data_Entry_2017.csv").write_text(table.read_text().replace("Patient Sex", "Patient Gender"))
    with pytest.raises(DataError, match="there are several Data_Entry table"):
        load_data(spec)
    table.unlink()
    (tmp_path / "images_001" / "images" / "00000002_000.png").unlink()
    images = load_data(spec)
    assert len(images) == 11 and images.dropped == {"no image file": 1}


@pytest.mark.parametrize("labels", ["Pneumothoraks", "No Finding|Mass", ""])
def test_unknown_labels(spec, tmp_path, labels):
    table = tmp_path / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace(",Infiltration,", f",{labels},", 1))
    with pytest.raises(DataError, match="line 5 of the table has labels that are not ChestX-ray14's"):
        load_data(spec)
