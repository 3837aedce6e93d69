"""Images, masks and tables that cannot be used: each named by the command, before anything is written."""

import re

import numpy as np
import pytest
from PIL import Image

both = pytest.mark.parametrize("command", ["audit", "train"])


@both
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda home: None, "does not exist"),
        (lambda home: home.mkdir(), "holds no images"),
        (lambda home: picture(home / "a" / "0.png"), "has a single class: a"),
        (
            lambda home: [picture(home / name / f"{i}.png", b"x") for name in "ab" for i in range(4)],
            "no known image format",
        ),
        (lambda home: [picture(home / name / f"{i}.png", cut=60) for name in "ab" for i in range(4)], "truncated"),
    ],
    ids=["missing", "empty", "single class", "unreadable", "truncated"],
)
def test_folders(bad, tmp_path, command, make, words):
    make(tmp_path / "home")
    assert words in bad(command, data=f"folder:{tmp_path / 'home'}")


def picture(path, content=None, cut=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 255, (16, 16), dtype=np.uint8)
    Image.fromarray(values).save(path)
    path.write_bytes(content or path.read_bytes()[:cut])


@both
@pytest.mark.parametrize("spec", ["csv:{}/t.csv", "medmnist:{}/x.npz"])
def test_missing_tables_and_sets(bad, tmp_path, command, spec):
    assert "does not exist" in bad(command, data=spec.format(tmp_path))


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("small.png", r"another size: \(9, 9\) Allowed: \(16, 16\)"),
        ("empty.png", "is empty"),
        ("words.txt", "no known image format"),
        ("tissue", "has no colour, by which tissue is found"),
        ("mask", "has no mask"),
    ],
)
def test_regions_that_no_image_has(bad, tmp_path, region, words):
    Image.new("L", (9, 9), 255).save(tmp_path / "small.png")
    Image.new("L", (16, 16), 0).save(tmp_path / "empty.png")
    (tmp_path / "words.txt").write_text("no picture")
    said = bad("audit", "--region", str(tmp_path / region) if "." in region else region)
    assert re.search(words, said), said
    assert not (tmp_path / "out").exists()


@both
@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("nan.tif", "holds NaN or infinite pixels"),
        ("junk.dcm", "holds no pixels|cannot be read"),
        ("junk.nii.gz", "volume .* cannot be read"),
        ("utf.csv", "the table cannot be read.* save it as CSV in UTF-8"),
        ("empty.csv", "line 2 of the table has no label"),
        ("columns.csv", "the table has no column path: file, class"),
        ("float.npz", "are not stored grey levels: float64"),
        ("option", r"unknown option of folder: siz Allowed: size.*docs/datasets"),
        ("size", "the option size must be a whole number: abc Allowed: 1 to"),
        ("scheme", "names no scheme: scans.* write folder:scans"),
    ],
)
def test_files_that_cannot_be_used(bad, tmp_path, command, make, words, images):
    said = bad(command, data=spoilt_data(tmp_path, make, images))
    assert re.search(words, said), said


def spoilt_data(home, what, images):
    """The spec of data of this fault."""
    if what in ("option", "size", "scheme"):
        return {"option": images + "?siz=3", "size": images + "?size=abc", "scheme": "scans"}[what]
    tables = {"utf.csv": b"\xff\xfe\x00\x01", "empty.csv": b"path,label\na.png,\n", "columns.csv": b"file,class\na,b\n"}
    if what in tables:
        (home / what).write_bytes(tables[what])
        return f"csv:{home / what}"
    if what.endswith(".npz"):
        parts = {f"{name}_images": np.full((4, 8, 8), np.nan) for name in ("train", "val", "test")}
        np.savez(
            home / what, **parts, **{f"{name}_labels": np.array([[0], [1]] * 2) for name in ("train", "val", "test")}
        )
        return f"medmnist:{home / what}"
    for number in range(8):
        path = home / "spoilt" / "ab"[number % 2] / f"{number}{what}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if what.endswith(".tif"):
            Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(path)
        else:
            path.write_bytes((b"\0" * 128 + b"DICM" if what.endswith(".dcm") else b"") + b"junk" * 30)
    scheme = {".tif": "folder", ".dcm": "dicom", ".gz": "nifti"}[path.suffix]
    return f"{scheme}:{home / 'spoilt'}"
