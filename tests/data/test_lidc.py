"""lidc: the XML, areas inside contours, nodules over readers, labels, patches and what is left out."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data import lidc
from percuss.data.dicom_write import uid, write_dicom
from percuss.data.lidc_marks import WIDE, Contour, Mark, inside, largest_slice, nodules, parse_scan
from percuss.data.lidc_sample import message, nodule, roi, square
from percuss.data.spec import load_data


def cells(places):
    return {(int(p // WIDE), int(p % WIDE)) for p in places}


def mark(reader, centre, half=3, malignancy=4, image="s1", hole=0):
    contours = [Contour(image, 0.0, tuple(square(centre, half)), True)]
    if hole:
        contours.append(Contour(image, 0.0, tuple(square(centre, hole)), False))
    return Mark(reader, malignancy, tuple(contours))


def test_the_line_itself_is_outside():
    assert cells(inside(square((10, 20), 2))) == {(r, c) for r in (19, 20, 21) for c in (9, 10, 11)}
    assert cells(inside([(3, 4)])) == {(4, 3)} and cells(inside([(3, 4), (4, 4)])) == {(4, 3), (4, 4)}
    assert len(inside([])) == 0


def test_holes_are_taken_out_and_their_line_stays():
    area = mark(0, (10, 10), half=5, hole=2).areas()["s1"]
    assert len(area) == 9 * 9 - 3 * 3 and (10, 10) not in cells(area) and (8, 10) in cells(area)


def test_nodules_are_joined_over_readers():
    marks = [mark(0, (10, 10)), mark(1, (12, 10)), mark(2, (40, 40)), mark(3, (11, 11)), mark(1, (41, 41))]
    assert nodules(marks) == [(0, 1, 3), (2, 4)]
    # On other slices nothing overlaps, wherever it lies.
    assert nodules([mark(0, (10, 10)), mark(1, (10, 10), image="s2")]) == [(0,), (1,)]


def test_what_one_reader_drew_apart_stays_apart():
    # Reader 1 draws a large nodule over two of reader 0; it goes with the one it overlaps most.
    marks = [mark(0, (10, 10)), mark(0, (17, 10)), mark(1, (12, 10), half=8)]
    assert nodules(marks) == [(0, 2), (1,)]


def test_largest_slice_counts_what_half_of_the_readers_drew():
    marks = [mark(0, (10, 10)), mark(1, (11, 10)), mark(2, (10, 10), half=9, image="s2")]
    shown = largest_slice(marks)
    assert shown.image == "s1" and len(shown.places) == 4 * 5
    alone = largest_slice(marks[2:])
    assert alone.image == "s2" and len(alone.places) == 17 * 17


@pytest.mark.parametrize(
    ("ratings", "label"), [((4, 5, 1), 4), ((3, 3), 3), ((2, 3), 2.5), ((None, 5), 5), ((None,), None)]
)
def test_median_of_those_who_rated(ratings, label):
    assert lidc.malignancy([mark(n, (5, 5), malignancy=m) for n, m in enumerate(ratings)]) == label


def test_xml(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(
        message(
            "1.2", [[nodule("n", [roi("9", -5.5, [(1, 2), (3, 4)])], 0), nodule("s", [roi("9", 0, [(1, 1)])], None)]]
        )
    )
    scan = parse_scan(path)
    assert scan.series == "1.2" and scan.small == 1
    assert scan.marks[0].malignancy is None and scan.marks[0].contours[0] == Contour("9", -5.5, ((1, 2), (3, 4)), True)
    path.write_text(message("1.2", [], "IdriReadMessage"))
    assert parse_scan(path) is None
    for text, words in (
        ("<LidcReadMessage", "cannot be read"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><LidcReadMessage/>', "defines entities"),
        ("<LidcReadMessage><ResponseHeader/></LidcReadMessage>", "lack a value"),
        (message("1", [[nodule("n", ["<roi><imageZposition>1</imageZposition></roi>"], 3)]]), "lack a value"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            parse_scan(path)


@pytest.fixture
def sample(tmp_path):
    return lidc.miniature(tmp_path)


def test_labels_patients_and_what_is_left_out(sample):
    images = load_data(sample)
    assert images.classes == ("benign", "malignant") and len(images) == 12
    assert [e.target for e in images.entries if e.id.endswith("01")] == [1, 0] * 3
    assert len({e.group for e in images.entries}) == 5 and images.entries[-1].group == images.entries[-4].group
    assert images.dropped == {"XML of another kind": 1, "points for nodules below 3 mm": 24, "median malignancy 3": 6}
    agreed = load_data(sample, readers=3)
    assert len(agreed) == 6 and agreed.dropped["fewer readers than asked for"] == 12
    split = load_data(sample.replace("?", "?split=0.5,0.5&"))
    assert split.subset(split="test").dropped == images.dropped


def test_patches_in_hu_with_the_area_drawn(sample):
    images = load_data(sample)
    case = images.read(images.ids[0])
    assert case.range == PixelRange(-1350, 150, 1, "HU") and case.pixels.shape == (1, 24, 24)
    assert case.spacing_mm == (0.7, 0.7)
    # Half 5 on the middle slice encloses a square of 9; two of the four readers drew it one column further.
    assert case.mask.sum() == 9 * 10 and case.mask[11, 11] == 1
    # The third nodule lies at the left border, so its patch is moved inwards.
    edge = images.read(images.ids[1])
    assert edge.mask.sum() == 25 and edge.mask[:, 4:9].any(0).all()
    small = load_data(sample, size=12).read(images.ids[0])
    assert small.mask.shape == (12, 12) and small.spacing_mm == pytest.approx((1.4, 1.4))


def test_the_window_is_a_default_and_can_be_another(sample):
    images = load_data(sample, window="40,400")
    assert {images.read(name).range for name in images.ids} == {PixelRange(-160, 240, 1, "HU")}


def test_patch_in_millimetres(sample):
    spec = sample.replace("patch=24", "patch=14mm&size=10")
    case = load_data(spec).read(load_data(spec).ids[0])
    assert case.pixels.shape == (1, 10, 10) and case.spacing_mm == pytest.approx((1.4, 1.4))
    for text in ("14mm", "0mm&size=9", "amm&size=9"):
        with pytest.raises(DataError, match="the patch makes no sense"):
            load_data(sample.replace("patch=24", f"patch={text}"))
    with pytest.raises(DataError, match="larger than its slice: 64"):
        spec = sample.replace("?patch=24", "")
        load_data(spec).read(load_data(spec).ids[0])


def test_a_slice_that_is_absent_is_recorded(sample, tmp_path):
    from pydicom import dcmread

    for path in (tmp_path / "LIDC-IDRI" / "LIDC-IDRI-0001").rglob("*.dcm"):
        if dcmread(path).SOPInstanceUID == uid(3, 0, 1):
            path.unlink()
    images = load_data(sample)
    bad = images.collect(images.ids).bad
    assert [b.id for b in bad] == [images.ids[0]] and "is not in its series" in bad[0].reason


def test_partial_downloads(sample, tmp_path):
    import shutil

    shutil.rmtree(tmp_path / "LIDC-IDRI" / "LIDC-IDRI-0002")
    # Scan 1 has its XML elsewhere.
    assert load_data(sample).dropped["scan not in the folder"] == 1
    shutil.rmtree(tmp_path / "LIDC-IDRI")
    with pytest.raises(DataError, match="no CT in the folder has annotations"):
        load_data(sample)


def test_contradicting_annotations(sample, tmp_path):
    (tmp_path / "again.xml").write_text(message(uid(2, 0), []))
    with pytest.raises(DataError, match="two different XML files annotate one series"):
        load_data(sample)


def test_a_contour_outside_of_the_slice(tmp_path):
    for n in range(2):
        home = tmp_path / f"p{n}"
        write_dicom(
            home / "1.dcm",
            np.zeros((20, 20), np.int16),
            PatientID=f"p{n}",
            SeriesInstanceUID=uid(2, n),
            SOPInstanceUID=uid(3, n),
        )
        text = message(uid(2, n), [[nodule("1", [roi(uid(3, n), 0, square((18 - n, 8), 3))], 1 + 4 * n)]])
        (home / "a.xml").write_text(text)
    images = load_data(f"lidc:{tmp_path}", patch=8)
    assert "lies outside of its slice" in images.collect(images.ids).bad[0].reason
