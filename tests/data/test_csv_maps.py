"""csv with task=segment: class maps and numbers of nuclei, tiles, sizes, and each way a map cannot be used."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from percuss.core.class_maps import EMPTY
from percuss.core.errors import DataError
from percuss.core.images import Case, PixelRange
from percuss.data.region import open_region
from percuss.data.spec import load_data

CLASSES = np.array([[0, 0, 1, 1], [0, 2, 1, 1], [0, 2, 0, 0], [0, 0, 0, 2]], np.uint8)
THINGS = np.array([[0, 0, 7, 7], [0, 3, 7, 7], [0, 3, 0, 0], [0, 0, 0, 4]], np.int32)
NAMES = "background|a|b"


def picture(values, kind="PNG", **options):
    stream = io.BytesIO()
    (values if isinstance(values, Image.Image) else Image.fromarray(values)).save(stream, kind, **options)
    return stream.getvalue()


def array(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


@pytest.fixture
def table(tmp_path):
    """Writes two images with their maps, files of other content by name, and gives the spec of the table."""

    def write(head="path,mask,instances", rows=("i0.png,m0.png,n0.png", "i1.png,m1.png,n1.png"), **files):
        for number in range(2):
            pixels = np.full((4, 4, 3), 10 * number, np.uint8)
            pixels[1, 2] = 200
            (tmp_path / f"i{number}.png").write_bytes(picture(pixels))
            (tmp_path / f"m{number}.png").write_bytes(picture(CLASSES))
            (tmp_path / f"n{number}.png").write_bytes(picture(THINGS.astype(np.uint16)))
        for name, data in files.items():
            (tmp_path / name.replace("_", ".")).write_bytes(data)
        (tmp_path / "t.csv").write_text("\n".join([head, *rows]) + "\n")
        return f"csv:{tmp_path / 't.csv'}?task=segment&names={NAMES}"

    return write


def test_maps_and_numbers_as_stored(table):
    images = load_data(table())
    assert (images.task, images.classes, images.dropped) == ("segment", ("background", "a", "b"), {})
    case = images.read("i1.png")
    assert case.target.dtype == np.uint8 and np.array_equal(case.target, CLASSES)
    assert case.instances.dtype == np.int32 and np.array_equal(case.instances, THINGS)
    assert [entry.target for entry in images.entries] == [0, 0]
    got = images.collect(images.ids)
    assert got.targets.shape == got.instances.shape == (2, 4, 4) and not got.bad and not got.notes
    region = open_region("mask").of(case, case.unit())
    assert np.array_equal(region.numpy(), CLASSES > 0), "the region mask of a class map is what is no background"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.npy", array(CLASSES)),
        ("m.npy", array(CLASSES.astype(np.int64))),
        ("m.tif", picture(CLASSES, "TIFF")),
        ("m.tif", picture(CLASSES.astype(np.uint16), "TIFF")),
        ("m.png", picture(CLASSES)),
        ("m.bmp", picture(CLASSES, "BMP")),
    ],
    ids=["npy", "npy of int64", "tif", "16-bit tif", "png", "bmp"],
)
def test_kinds_of_files(table, tmp_path, name, data):
    spec = table(rows=[f"i0.png,{name},n0.png", "i1.png,m1.png,n1.png"])
    (tmp_path / name).write_bytes(data)
    assert np.array_equal(load_data(spec).read("i0.png").target, CLASSES)


def test_palette_and_small_depths_give_the_stored_numbers(table, tmp_path):
    coloured = Image.frombytes("P", (4, 4), CLASSES.tobytes())
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    spec = table(m0_png=picture(coloured, bits=2))
    assert np.array_equal(load_data(spec).read("i0.png").target, CLASSES)
    # Two bits of grey: Pillow would read 0, 85, 170, 255, and 255 would count as not judged.
    two = np.array([[0, 1, 2, 3]] * 4, np.uint8)
    (tmp_path / "m0.png").write_bytes(two_bit_png(two))
    assert Image.open(tmp_path / "m0.png").getpixel((3, 0)) == 255
    images = load_data(f"csv:{tmp_path / 't.csv'}?task=segment&names=background|a|b|c&instances_column=instances")
    (tmp_path / "n0.png").write_bytes(picture(two))
    assert np.array_equal(images.read("i0.png").target, two)


def two_bit_png(values):
    """A grey PNG of two bits, which Pillow does not write: one byte holds the four pixels of a row."""
    rows = b"".join(b"\0" + bytes([sum(int(v) << (6 - 2 * i) for i, v in enumerate(row))]) for row in values)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 4, len(values), 2, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)))
    chunks = [(kind, data) for kind, data in (*parts, (b"IEND", b""))]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("n.npy", array(THINGS)),
        ("n.npy", array(THINGS.astype(np.uint8))),
        ("n.tif", picture(THINGS.astype(np.int32), "TIFF")),
        ("n.png", picture(THINGS.astype(np.uint8))),
    ],
    ids=["npy", "8-bit npy", "32-bit tif", "8-bit png"],
)
def test_numbers_of_nuclei_of_any_depth(table, tmp_path, name, data):
    spec = table(rows=[f"i0.png,m0.png,{name}", "i1.png,m1.png,n1.png"])
    (tmp_path / name).write_bytes(data)
    assert np.array_equal(load_data(spec).read("i0.png").instances, THINGS)


def test_numbers_alone_make_two_classes(table):
    spec = table("path,instances", ["i0.png,n0.png", "i1.png,n1.png"]).replace(f"&names={NAMES}", "")
    images = load_data(spec)
    assert images.classes == ("background", "nucleus")
    assert np.array_equal(images.read("i0.png").target, THINGS > 0)
    assert load_data(spec, names="glass|cell").classes == ("glass", "cell")
    with pytest.raises(DataError, match=r"names of classes do not fit: a\|b\|c. Allowed: two"):
        load_data(spec, names="a|b|c")
    with pytest.raises(DataError, match="ignore speaks of class maps"):
        load_data(spec, ignore=3)


def test_class_maps_alone_split_group_and_other_columns(table):
    rows = ["i0.png,m0.png,train,p1", "i1.png,m1.png,test,p2"]
    spec = table("image,types,fold,case", rows)
    images = load_data(spec, path_column="image", mask_column="types", split_column="fold", group_column="case")
    assert images.splits == ("train", "test") and images.read("i0.png").instances is None
    assert images.read("i1.png").group == "p2" and images.collect(images.ids).instances is None
    drawn = load_data(f"{spec}&split=0.5,0.5&seed=1", path_column="image", mask_column="types")
    assert {entry.split for entry in drawn.entries} == {"train", "test"}


def test_one_value_may_be_left_out(table):
    images = load_data(table(), ignore=2)
    target = images.read("i0.png").target
    assert np.array_equal(target == 255, CLASSES == 2) and np.array_equal(target == 1, CLASSES == 1)
    assert load_data(table()).fingerprint("i0.png") != images.fingerprint("i0.png")


def test_size_takes_maps_by_nearest_neighbour_and_only_when_asked(table):
    small = load_data(table(), size=2).read("i0.png")
    assert np.array_equal(small.target, CLASSES[1::2, 1::2]) and np.array_equal(small.instances, THINGS[1::2, 1::2])
    large = load_data(table(), size=8).read("i0.png")
    assert np.array_equal(large.target, CLASSES.repeat(2, 0).repeat(2, 1)) and large.pixels.shape == (3, 8, 8)
    assert len(np.unique(large.pixels)) > 2, "the image itself is smoothed"


def put(place, value):
    """The class map with another class at one pixel, counted row by row."""
    return picture(np.where(np.arange(16).reshape(4, 4) == place, value, CLASSES).astype(np.uint8))


FAULTS = {
    r"i0.png \(m0.png\) has another size: \(4, 3\). Allowed: \(4, 4\)": {"m0_png": picture(CLASSES[:, :3].copy())},
    r"i0.png \(n0.png\) has another size": {"n0_png": picture(THINGS.astype(np.uint8)[:3].copy())},
    r"i0.png \(m0.png\) holds values without a name: 3, 9.*0 to 2.*ignore=3": {
        "m0_png": picture(np.array([[0, 3, 9, 1]] * 4, np.uint8))
    },
    r"i0.png \(m0.png\) is in colour: RGB.*8-bit grey PNG": {"m0_png": picture(np.zeros((4, 4, 3), np.uint8))},
    r"i0.png \(m0.png\) is stored in a form that changes values: JPEG": {"m0_png": picture(CLASSES, "JPEG")},
    r"i0.png \(m0.png\) holds floating-point numbers: float32": {"m0_png": picture(CLASSES.astype(np.float32), "TIFF")},
    r"i0.png \(m0.png\) cannot be read": {"m0_png": b"abc"},
    "no pixel of image i0.png is judged": {"m0_png": picture(np.full((4, 4), 255, np.uint8))},
    "i0.png disagree where there are nuclei: 1 pixels, first row 0, column 0: class 2, number 0": {"m0_png": put(0, 2)},
    "a nucleus of image i0.png has two classes: number 7": {"m0_png": put(2, 2)},
}


@pytest.mark.parametrize("words", FAULTS)
def test_a_map_that_cannot_be_used_is_a_bad_image_and_the_rest_goes_on(words, table):
    images = load_data(table(**FAULTS[words]))
    with pytest.raises(DataError, match=words) as raised:
        images.read("i0.png")
    assert raised.value.next_step
    got = images.collect(images.ids)
    assert got.ids == ["i1.png"] and [bad.id for bad in got.bad] == ["i0.png"]


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.zeros((4, 4), np.float64), r"i0.png \(m.npy\) holds floating-point numbers: float64"),
     (np.zeros((4, 4, 6), np.uint8), r"i0.png \(m.npy\) is not a single channel: \(4, 4, 6\)"),
     (np.full((4, 4), -1), r"i0.png \(m.npy\) holds negative numbers: -1"),
     (np.array([[None]]), r"i0.png \(m.npy\) cannot be read as npy")],
)  # fmt: skip
def test_arrays_that_are_no_maps(values, words, table, tmp_path):
    np.save(tmp_path / "m.npy", values)
    images = load_data(table("path,mask", ["i0.png,m.npy", "i1.png,m1.png"]))
    with pytest.raises(DataError, match=words):
        images.read("i0.png")


def test_numbers_beyond_32_bits(table, tmp_path):
    np.save(tmp_path / "n.npy", THINGS.astype(np.int64) * 10**9)
    with pytest.raises(DataError, match="numbers of nuclei of image i0.png.*too large: 7000000000"):
        load_data(table(rows=["i0.png,m0.png,n.npy", "i1.png,m1.png,n1.png"])).read("i0.png")


def test_a_missing_map_is_a_bad_image(table, tmp_path):
    images = load_data(table())
    (tmp_path / "m0.png").unlink()
    (tmp_path / "n1.png").unlink()
    got = images.collect(images.ids)
    assert [bad.id for bad in got.bad] == ["i0.png", "i1.png"]
    assert all(f"check that {tmp_path / name} exists" in bad.reason
               for name, bad in zip(("m0.png", "n1.png"), got.bad, strict=True))  # fmt: skip


def test_an_image_without_nuclei_is_kept_and_counted(table):
    empty = picture(np.zeros((4, 4), np.uint8))
    images = load_data(table(m1_png=empty, n1_png=empty))
    got = images.collect(images.ids)
    assert got.ids == ["i0.png", "i1.png"] and got.notes == {EMPTY: ["i1.png"]}


@pytest.mark.parametrize(
    ("head", "rows", "tail", "words"),
    [("path,label", ["i0.png,a"], "", "neither class maps nor numbers of nuclei: path, label.*mask_column=NAME"),
     ("path,mask", ["i0.png,"], "", "line 2 of the table has no map: column mask"),
     ("path,mask", ["i0.png,m0.png"], "&label_column=x", "unknown option of csv with task=segment: label_column"),
     ("path,mask", ["i0.png,m0.png"], "&mask_column=maks", "no column for mask: maks. Allowed: mask"),
     ("path,mask", ["i9.png,m0.png"], "", "none of the table's images exists"),
     ("path,mask", ["i0.png,m0.png", "i0.png,m0.png"], "", "an image is listed 2 times")],
)  # fmt: skip
def test_tables_that_cannot_be_used(head, rows, tail, words, table):
    with pytest.raises(DataError, match=words):
        load_data(table(head, rows) + tail)


@pytest.mark.parametrize("names", ["background", "a||b", "a|a|b", "|".join(map(str, range(256)))])
def test_names_that_do_not_fit(names, table):
    with pytest.raises(DataError, match="the names of classes do not fit"):
        load_data(table().replace(NAMES, names))
    with pytest.raises(DataError, match=r"values of class maps have no names.*\?names=background"):
        load_data(table().replace(f"&names={NAMES}", ""))


def test_options_of_class_maps_need_the_task(table):
    with pytest.raises(DataError, match=r"the option names is for class maps.*\?task=segment"):
        load_data(table().replace("task=segment&", ""))


def test_a_region_of_a_map_leaves_out_what_is_not_judged():
    target = np.array([[0, 1], [255, 2]], np.uint8)
    case = Case("a", np.zeros((1, 2, 2), np.uint8), PixelRange(), target)
    assert open_region("mask").of(case, case.unit()).tolist() == [[False, True], [False, True]]
