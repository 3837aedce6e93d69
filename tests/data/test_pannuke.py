"""pannuke: the label rule by counted nuclei, folders however they are called, and copies that are not what they say."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data import pannuke, pannuke_folds
from percuss.data.spec import load_data


@pytest.fixture
def spec(tmp_path):
    return pannuke.miniature(tmp_path)


def array(spec, fold, name):
    """Path of one array of the miniature."""
    folder = pannuke.Path(spec.removeprefix("pannuke:")) / ("Fold 1", "Fold2", "fold_3")[fold - 1]
    return folder / ("masks" if name == "masks" else "images") / f"fold{fold}" / f"{name}.npy"


def test_label_rule_and_counts(spec):
    images = load_data(spec)
    assert images.classes == ("no tumour", "tumour") and images.splits == ("fold1", "fold2", "fold3")
    assert images.ids[:3] == ("fold1/0000", "fold1/0001", "fold1/0003")  # 0002 has three neoplastic nuclei
    assert [entry.target for entry in images.entries] == [1, 0, 1] * 3
    assert images.dropped == {"few neoplastic nuclei": 3} == images.subset(split="fold2").dropped
    assert [entry.target for entry in load_data(spec, least=3).entries] == [1, 0, 1, 1] * 3
    assert [entry.target for entry in load_data(spec, least=6).entries] == [1, 0] * 3


def test_pixels_are_the_stored_levels_whatever_their_type(spec):
    images = load_data(spec)
    for fold in (1, 2, 3):
        stored = np.load(array(spec, fold, "images"))
        assert stored.dtype == (np.float64, np.float32, np.uint8)[fold - 1]
        case = images.read(f"fold{fold}/0003")
        assert case.pixels.dtype == np.uint8 and np.array_equal(case.pixels, stored[3].transpose(2, 0, 1))


def test_masks_give_tumour_precedence_and_no_background(spec):
    mask = load_data(spec).read("fold1/0003").mask
    assert mask[1, 7] == 1 and mask[1, 15] == 5  # both kinds lie on the first, epithelium alone on the second
    assert mask[30, 30] == 0 and set(np.unique(mask)) == {0, 1, 5}
    small = load_data(spec, size=16).read("fold1/0003")
    assert small.pixels.shape == (3, 16, 16) and small.mask.shape == (16, 16)


def test_tissues(spec):
    found = load_data(spec, tissue="breast|bile_duct", folds="1,2", least=3)
    assert found.ids == tuple(f"fold{n}/{row}" for n in (1, 2) for row in ("0000", "0001", "0002"))
    assert found.dropped == {"other tissue": 2}
    with pytest.raises(DataError, match=r"no patch of this tissue: Brest.*Breast"):
        load_data(spec, tissue="Brest", folds="1,2")
    with pytest.raises(DataError, match=r"fold 3 lacks types.npy.*\?folds="):
        load_data(spec, tissue="Breast")


def test_empty_patches_may_be_left_out(spec):
    with pytest.raises(DataError, match="has a single class"):
        load_data(spec, empty="drop")  # the only negatives of the miniature have no nuclei at all
    masks = np.load(array(spec, 1, "masks"))
    masks[1, :4, :4, 2] = 5
    np.save(array(spec, 1, "masks"), masks)
    assert load_data(spec, empty="drop").dropped == {"few neoplastic nuclei": 3, "no nuclei": 2}


def test_folds_as_splits(spec):
    found = load_data(spec, test="1", val="3")
    assert found.splits == ("test", "train", "val") and found.subset(split="test").ids[0] == "fold1/0000"
    assert set(load_data(f"{spec}?split=0.5,0.5&seed=4").splits) == {"train", "test"}
    for options, words in [
        ({"test": "4"}, "no fold for the split test: 4"),
        ({"test": "1", "val": "1"}, "no fold for the split"),
        ({"test": "1", "split": "0.5,0.5"}, "given together"),
        ({"folds": "1,7"}, "no such fold: 7. Allowed: 1, 2, 3"),
        ({"least": "0"}, "the option least must be a whole number"),
    ]:
        with pytest.raises(DataError, match=words):
            load_data(f"{spec}?{'&'.join(f'{name}={value}' for name, value in options.items())}")


def test_a_fold_with_the_count_of_another(spec, monkeypatch):
    monkeypatch.setattr(pannuke_folds, "OFFICIAL", {"1": 4, "2": 9, "3": 4})
    with pytest.raises(DataError, match="fold 2 has as many patches as the official fold 1: 4"):
        load_data(spec)
    assert len(load_data(spec, check="no")) == 9


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("images", lambda a: a[:3], "fold 1 differ in number or size.*'images': 3, 'masks': 4"),
        ("masks", lambda a: a[..., :5], r"not PanNuke's.*\[N, height, width, 6\]"),
        ("images", lambda a: a[:, :16], "differ in number or size"),
        ("types", lambda a: a[:2], "'types': 2"),
        ("types", lambda a: a.astype(object), "the npy file cannot be read.*types.npy"),
    ],
)
def test_files_that_contradict(spec, name, change, words):
    path = array(spec, 1, name)
    np.save(path, change(np.load(path)))
    with pytest.raises(DataError, match=words):
        load_data(spec)


def test_scaled_images_are_refused_one_by_one(spec):
    stored = np.load(array(spec, 1, "images"))
    stored[0] /= 255
    np.save(array(spec, 1, "images"), stored)
    images = load_data(spec)
    got = images.collect(images.ids)
    assert [bad.id for bad in got.bad] == ["fold1/0000"] and "no whole grey levels: 0 to 1" in got.bad[0].reason


def test_missing_cut_off_and_misplaced_files(spec, tmp_path):
    masks = array(spec, 2, "masks")
    whole = masks.read_bytes()
    masks.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"the npy file cannot be read.*it may be cut off"):
        load_data(spec)
    masks.unlink()
    with pytest.raises(DataError, match=r"fold 2 lacks masks.npy"):
        load_data(spec)
    (tmp_path / "fold_3" / "masks" / "fold3").rename(tmp_path / "fold_3" / "masks" / "fold2")
    with pytest.raises(DataError, match=r"the path of a file names no fold, or two.*fold2"):
        load_data(spec)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no PanNuke fold"):
        load_data(f"pannuke:{tmp_path}/none")
