"""CAMELYON16: both layouts give the same slides, the official lists hold, and every contradiction is refused."""

import shutil

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data.slides import camelyon
from percuss.data.slides.camelyon_miniature import miniature
from percuss.data.slides.camelyon_reference import read_reference

tifffile = pytest.importorskip("tifffile")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return miniature(tmp_path_factory.mktemp("camelyon"))


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of the miniature to spoil: folder of GigaDB's layout, folder of the bucket's."""
    shutil.copytree(tiny.gigadb, tmp_path / "gigadb")
    shutil.copytree(tiny.bucket, tmp_path / "bucket")
    return tmp_path / "gigadb", tmp_path / "bucket"


def test_both_layouts_hold_the_same_slides(tiny):
    first, second = camelyon.read_camelyon(tiny.gigadb), camelyon.read_camelyon(tiny.bucket)
    assert [slide.name for slide in first] == ["normal_001", "tumor_001", "tumor_110", "test_001", "test_002"]
    for one, other in zip(first, second, strict=True):
        assert (one.name, one.split, one.tumour, one.exhaustive) == (
            other.name, other.split, other.tumour, other.exhaustive)  # fmt: skip
        assert one.image.read_bytes() == other.image.read_bytes()
        assert (one.annotation is None) == (other.annotation is None) == (not one.tumour)
        assert (one.centre, other.centre) == (None, "RUMC")
        assert one.mask is None and (other.mask is None) == (not one.tumour)
    assert [slide.tumour for slide in first] == [False, True, True, True, False]
    assert [slide.split for slide in first] == ["train"] * 3 + ["test"] * 2


def test_the_papers_test_slide_is_not_exhaustive_and_says_so(tiny):
    by_name = {slide.name: slide for slide in camelyon.read_camelyon(tiny.bucket)}
    assert not by_name["tumor_110"].exhaustive and "gives no negatives" in by_name["tumor_110"].notes[0]
    assert by_name["tumor_001"].exhaustive and not by_name["tumor_001"].notes


def test_masks_of_the_miniature_follow_the_outlines(tiny):
    with tifffile.TiffFile(tiny.bucket / "masks" / "tumor_001_mask.tif") as found:
        mask = found.pages[0].asarray()
    corners = tiny.drawn["tumor_001"].outlines[0]
    area = 0.5 * abs(
        np.dot(corners[:, 0], np.roll(corners[:, 1], 1)) - np.dot(corners[:, 1], np.roll(corners[:, 0], 1))
    )
    assert mask.sum() == pytest.approx(area, rel=0.02)


def test_official_lists():
    assert len(camelyon.PARTIAL) == 21
    for name in ("tumor_010", "Tumor_110.tif", "x/tumor_055_mask.tif", "test_114", "TUMOR_095.XML"):
        assert camelyon.not_exhaustive(name), name
    for name in ("tumor_011", "tumor_001", "test_001", "normal_110"):
        assert not camelyon.not_exhaustive(name), name
    assert "tumor_111" in camelyon.trap("Normal_086.tif")
    assert "duplicate" in camelyon.trap("test_049") and camelyon.trap("tumor_001") is None


def test_a_withdrawn_slide_is_noted_and_gives_no_negatives(copy):
    first, _ = copy
    shutil.copy(first / "training" / "normal" / "normal_001.tif", first / "training" / "normal" / "normal_086.tif")
    found = {slide.name: slide for slide in camelyon.read_camelyon(first)}["normal_086"]
    assert not found.exhaustive and "tumor_111" in found.notes[0]


def test_a_tumour_without_its_annotation_is_noted_and_gives_no_negatives(copy):
    first, _ = copy
    (first / "training" / "lesion_annotations" / "tumor_001.xml").unlink()
    found = {slide.name: slide for slide in camelyon.read_camelyon(first)}["tumor_001"]
    assert not found.exhaustive and "no annotation" in found.notes[0]


def test_a_test_slide_that_no_reference_names_is_undecided(copy):
    first, _ = copy
    (first / "testing" / "reference.csv").unlink()
    found = {slide.name: slide for slide in camelyon.read_camelyon(first)}
    assert found["test_001"].tumour is None and "Nothing says" in found["test_001"].notes[0]


def test_capital_names_match_across_folders(copy):
    _, second = copy
    (second / "images" / "tumor_001.tif").rename(second / "images" / "Tumor_001.tif")
    (second / "annotations" / "tumor_001.xml").rename(second / "annotations" / "TUMOR_001.xml")
    found = {slide.name: slide for slide in camelyon.read_camelyon(second)}["tumor_001"]
    assert found.annotation.name == "TUMOR_001.xml" and found.mask is not None and found.centre == "RUMC"


def unzipped(first):
    folder = first / "training" / "lesion_annotations"
    shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)


def twice(first):
    shutil.copy(first / "training" / "tumor" / "tumor_001.tif", first / "training" / "tumor" / "Tumor_001.tif")


def stranger(first):
    shutil.copy(first / "training" / "tumor" / "tumor_001.tif", first / "training" / "tumor" / "slide.tif")


def contradiction(first):
    path = first / "testing" / "reference.csv"
    path.write_text(path.read_text() + "normal_001,Tumor,IDC\n")


def marked(first):
    folder = first / "testing" / "lesion_annotations"
    shutil.copy(folder / "test_001.xml", folder / "test_002.xml")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (unzipped, r"still packed.*lesion_annotations.zip.*unzip"),
        (twice, "two files have the name of one slide"),
        (stranger, "none of CAMELYON16"),
        (contradiction, "reference contradicts the name"),
        (marked, "without tumour has an annotation"),
    ],
)
def test_contradictions_are_refused(copy, spoil, text):
    spoil(copy[0])
    with pytest.raises(DataError, match=text):
        camelyon.read_camelyon(copy[0])


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="no slide of CAMELYON16"):
        camelyon.read_camelyon(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        camelyon.read_camelyon(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n", {"test_001": (True, "IDC", None)}),
        ("image,class,type,center\ntest_001.tif,tumor,macro,1\n", {"test_001": (True, "macro", "UMCU")}),
        ("\ufeffclass,center,image\nnegative,RUMC,Test_001.tif\n\n", {"test_001": (False, "", "RUMC")}),
    ],
)
def test_references_with_and_without_a_header(tmp_path, text, wanted):
    (tmp_path / "reference.csv").write_text(text, "utf-8")
    found = read_reference(tmp_path / "reference.csv", camelyon.slide_name)
    for name, (tumour, kind, centre) in wanted.items():
        assert (found[name].tumour, found[name].kind, found[name].centre) == (tumour, kind, centre)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is empty"),
        ("a,b,c\n", "neither a known header nor known classes"),
        ("test_001,Tumor\ntest_002,Tumour?\n", "unknown class.*row 2"),
        ("test_001,Tumor\ntest_002\n", "lacks its slide or class.*row 2"),
        ("test_001,Tumor\ntest_001,Normal\n", "contradict"),
        ("image,class,center\ntest_001,tumor,7\n", "unknown centre"),
    ],
)
def test_damaged_references_are_refused(tmp_path, text, error):
    (tmp_path / "reference.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=error):
        read_reference(tmp_path / "reference.csv", camelyon.slide_name)
    (tmp_path / "reference.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="cannot be read"):
        read_reference(tmp_path / "reference.csv", camelyon.slide_name)
