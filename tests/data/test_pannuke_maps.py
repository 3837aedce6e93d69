"""pannuke with task=segment: maps of kinds and of nuclei, overlaps, types of number, files never loaded whole."""

import re
from pathlib import Path

import numpy as np
import pytest

from percuss.core.class_maps import EMPTY
from percuss.core.errors import DataError
from percuss.data import pannuke, pannuke_maps
from percuss.data.pannuke_folds import mapped
from percuss.data.pannuke_maps import OVERLAP
from percuss.data.spec import load_data


@pytest.fixture
def spec(tmp_path):
    return f"{pannuke.miniature(tmp_path)}?task=segment"


@pytest.fixture
def masks(tmp_path):
    """Reads, changes and writes the masks of the first fold."""
    path = tmp_path / "Fold 1" / "masks" / "fold1" / "masks.npy"

    def change(how, kind=np.float64):
        stored = np.load(path)
        how(stored)
        np.save(path, stored.astype(kind))

    return change


def test_every_patch_is_there_without_a_look_at_the_masks(spec, monkeypatch):
    monkeypatch.setattr(pannuke_maps, "_counts", lambda *a: pytest.fail("masks were read"))
    images = load_data(spec)
    assert images.task == "segment" and len(images) == 12 and images.dropped == {}
    assert images.classes == ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
    assert images.splits == ("fold1", "fold2", "fold3") and images.ids[2] == "fold1/0002"
    assert load_data(spec, test="1", val="3").splits == ("test", "train", "val")
    assert load_data(spec, tissue="breast", folds="1,2").dropped == {"other tissue": 4}


def test_patches_without_nuclei_are_kept_and_counted_or_dropped(spec):
    images = load_data(spec)
    assert images.collect(images.ids[:4]).notes == {EMPTY: ["fold1/0001"], OVERLAP: ["fold1/0003"]}
    fewer = load_data(spec, empty="drop")
    assert fewer.dropped == {"no nuclei": 3} and "fold1/0001" not in fewer.ids and len(fewer) == 9


def test_kinds_and_numbers_by_hand(spec, masks):
    def change(stored):
        stored[1] = 0
        stored[1, 2:4, 2:4, 0] = 7
        stored[1, 2:4, 8:12, 0] = 900
        stored[1, 3:6, 10:14, 4] = 7  # the same number in another channel is another nucleus; two pixels overlap
        stored[1, 20, 20, 3] = 2
        stored[1, 2:4, 2:4, 2] = 5  # wholly below a neoplastic nucleus
        stored[1, ..., 5] = 1  # the background channel is not believed

    masks(change)
    case = load_data(spec).read("fold1/0001")
    assert case.target.dtype == np.uint8 and case.instances.dtype == np.int32 and case.mask is None
    kinds, numbers = np.zeros((32, 32), int), np.zeros((32, 32), int)
    kinds[3:6, 10:14], numbers[3:6, 10:14] = 5, 4
    kinds[20, 20], numbers[20, 20] = 4, 3
    kinds[2:4, 2:4], numbers[2:4, 2:4] = 1, 1
    kinds[2:4, 8:12], numbers[2:4, 8:12] = 1, 2
    assert np.array_equal(case.target, kinds) and np.array_equal(case.instances, numbers)
    assert case.notes == (OVERLAP,)
    small = load_data(spec, size=16).read("fold1/0001")
    assert small.pixels.shape == (3, 16, 16) and np.array_equal(small.target, kinds[1::2, 1::2])


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8, np.int16])
def test_masks_of_any_type_of_number(spec, masks, kind):
    first = load_data(spec).read("fold1/0003")
    masks(lambda stored: None, kind)
    again = load_data(spec).read("fold1/0003")
    assert np.array_equal(first.target, again.target) and np.array_equal(first.instances, again.instances)


@pytest.mark.parametrize(("value", "words"), [(0.5, "0 to 57"), (-1, "-1 to 57"), (np.nan, "nan to nan")])
def test_masks_that_are_no_numbers_of_nuclei(spec, masks, value, words):
    def change(stored):
        stored[0, 30, 30, 2] = value

    masks(change)
    got = load_data(spec).collect(["fold1/0000", "fold1/0001"])
    assert got.ids == ["fold1/0001"] and "fold1/0000 hold more than numbers of nuclei: " + words in got.bad[0].reason


def test_types_are_needed_for_tissues_alone(spec, tmp_path):
    for path in tmp_path.rglob("types.npy"):
        path.unlink()
    assert len(load_data(spec)) == 12
    with pytest.raises(DataError, match=r"lacks types.npy, by which tissues are chosen"):
        load_data(spec, tissue="Breast")


def test_options_that_speak_of_tumour(spec):
    with pytest.raises(DataError, match="least speaks of patches with tumour.*least=3. Next: leave it out"):
        load_data(spec, least=3)
    with pytest.raises(DataError, match="the option task has an unknown value: multilabel"):
        load_data(spec.replace("segment", "multilabel"))


def resident(path):
    """Bytes of a mapped file that this process has in memory, as Linux counts them."""
    whole = Path("/proc/self/smaps").read_text()
    found = re.findall(rf"^\S+ r\S+ \S+ \S+ \d+ +{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+) kB", whole, re.MULTILINE)
    return 1024 * sum(map(int, found))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="memory of a mapped file is counted on Linux alone")
def test_masks_of_many_gigabytes_are_never_loaded_whole(tmp_path):
    """A fold of the official size whose masks are a sparse file: 8.4 GB to read, 2 of its patches on disk."""
    rows, side = 2656, 256
    for kind, depth, number in (("images", 3, np.uint8), ("masks", 6, np.float64)):
        home = tmp_path / "Fold 1" / kind / "fold1"
        home.mkdir(parents=True)
        stored = np.lib.format.open_memmap(home / f"{kind}.npy", "w+", number, (rows, side, side, depth))
        if kind == "masks":
            stored[1700, 5:9, 5:9, 1] = 3
        stored[1701, 0, 0] = 1
        del stored
    path = tmp_path / "Fold 1" / "masks" / "fold1" / "masks.npy"
    assert path.stat().st_size > 8.3e9 and path.stat().st_blocks * 512 < 50e6, "the file has holes"
    images = load_data(f"pannuke:{tmp_path}?task=segment")
    case = images.read("fold1/1700")
    images.fingerprint("fold1/1700")
    assert len(images) == rows and (case.target == 2).sum() == 16 and case.instances.max() == 1
    assert isinstance(mapped(path), np.memmap), "rows are taken from a map of the file"
    assert 3.1e6 < resident(path) < 10e6, "of which one patch of 3.1 MB was looked at"
    mapped(path)[:20].sum()  # and more is seen as more
    assert resident(path) > 60e6
