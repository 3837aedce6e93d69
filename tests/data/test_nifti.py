"""nifti: planes by anatomy and by number, scale and window, times, patients, masks; real volumes where at hand."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

from percuss.core.errors import DataError, UsageError
from percuss.core.images import PixelRange
from percuss.data import nifti
from percuss.data.nifti import patient_of
from percuss.data.spec import load_data

# Axes to the left, the back and the head: stored x and y run against the right and the front.
SHAPE, AFFINE = (5, 6, 4), np.diag([-2.0, -1.5, 3.0, 1.0])
CUBE = np.arange(120).reshape(SHAPE).astype(np.int16)


@pytest.fixture
def put(tmp_path):
    def write(name="a/v.nii", data=CUBE, affine=AFFINE, **header):
        image = nibabel.Nifti1Image(data, affine)
        image.header.set_xyzt_units("mm")
        for key, value in header.items():
            image.header[key] = value
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, tmp_path / name)
        return f"nifti:{tmp_path}"

    write("z/other.nii.gz")
    return write


def test_planes_are_upright_whatever_the_order_of_axes(put):
    images = load_data(put(), window="60,120")
    assert images.ids[:2] == ("a/v.nii#0000", "a/v.nii#0001") and len(images) == 8
    case = images.read("a/v.nii#0002")
    # x to the left already, y to the back already: what is shown is the plane transposed.
    assert np.array_equal(case.pixels[0], CUBE[:, :, 2].T) and case.spacing_mm == (1.5, 2.0)
    assert case.range == PixelRange(0, 120, 1, "stored value")
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(CUBE, AFFINE))
    mixed = np.asarray(turned.dataobj).transpose(2, 0, 1)[:, ::-1]
    affine = turned.affine[:, [2, 0, 1, 3]] @ np.diag([1, -1, 1, 1])
    put("a/mixed.nii", mixed, affine)
    images = load_data(put(), window="60,120")
    assert np.array_equal(images.read("a/mixed.nii#0002").pixels, case.pixels)
    for axis, count in (("coronal", 6), ("sagittal", 5)):
        images = load_data(put(), window="60,120", axis=axis)
        assert len(images) == 3 * count
        assert np.array_equal(images.read("a/mixed.nii#0001").pixels, images.read("a/v.nii#0001").pixels)
    assert np.array_equal(images.read("a/v.nii#0001").pixels[0], CUBE[3, :, ::-1].T), "sagittal: head up, front left"


def test_axes_by_number_are_as_stored(put):
    images = load_data(put(), window="60,120", axis=0)
    case = images.read("a/v.nii#0003")
    assert np.array_equal(case.pixels[0], CUBE[3]) and case.spacing_mm == (1.5, 3.0)


def test_a_header_without_orientation_needs_a_number(put):
    spec = put("a/w.nii", CUBE, None)
    images = load_data(spec, window="60,120")
    assert [bad.id for bad in images.collect(images.ids).bad] == ["a/w.nii#0000"]
    with pytest.raises(DataError, match=r"does not say how it lies.*\?axis=2"):
        images.read("a/w.nii#0000")
    assert load_data(spec, window="60,120", axis=2).read("a/w.nii#0001").pixels.shape == (1, 5, 6)


def test_values(put, tmp_path):
    spec = put("a/whole.nii", CUBE.astype(np.float32) - 50)
    put("a/part.nii", CUBE.astype(np.float32) / 7)
    images = load_data(spec, window="0,60", unit="HU")
    case = images.read("a/whole.nii#0001")
    assert case.range == PixelRange(-30, 30, 1, "HU") and case.pixels.dtype == np.int16
    with pytest.raises(DataError, match="floating-point values, which have no native step"):
        images.read("a/part.nii#0001")
    assert load_data(spec, window="10,20", step=0.5).read("a/part.nii#0001").range == PixelRange(
        0, 20, 0.5, "stored value"
    )
    with pytest.raises(DataError, match="says nothing of its range"):
        load_data(spec).read("a/whole.nii#0001")
    put("a/nan.nii", np.where(CUBE == 7, np.nan, CUBE).astype(np.float32))
    with pytest.raises(DataError, match="NaN"):
        load_data(spec, window="10,20", step=0.5).read("a/nan.nii#0003")


def test_scale_of_the_header(put, tmp_path):
    spec = put()
    raw = bytearray((tmp_path / "a/v.nii").read_bytes())
    raw[112:120] = np.array([0.5, -10], "<f4").tobytes()  # scl_slope and scl_inter
    (tmp_path / "a/v.nii").write_bytes(raw)
    case = load_data(spec, window="0,10").read("a/v.nii#0000")
    assert case.range == PixelRange(-5, 5, 0.5, "stored value")
    assert np.array_equal(case.pixels[0], np.clip(CUBE[:, :, 0].T * 0.5 - 10, -5, 5))


def test_slices(put):
    assert load_data(put(), slices=1).ids == ("a/v.nii#0002", "z/other.nii.gz#0002")
    assert load_data(put(), slices=2).ids[:2] == ("a/v.nii#0001", "a/v.nii#0003")
    with pytest.raises(DataError, match="the option slices must be a whole number"):
        load_data(put(), slices="few")


def test_times(put):
    spec = put("a/four.nii", np.stack([CUBE, CUBE + 1], -1))
    with pytest.raises(DataError, match=r"several times or channels: 2\. Allowed: a choice of one, 0 to 1"):
        load_data(spec, window="60,120").read("a/four.nii#0000")
    images = load_data(spec, window="60,122", time=1)
    assert np.array_equal(images.read("a/four.nii#0000").pixels[0], CUBE[:, :, 0].T + 1)
    with pytest.raises(DataError, match="has no time 1: it has 1"):
        images.read("z/other.nii.gz#0000")


@pytest.mark.parametrize(
    ("name", "by", "patient"),
    [
        ("sub-07_ses-1_T1w.nii.gz", "auto", "sub-07"),
        ("scan_0001.nii", "auto", "scan_0001"),
        ("sub-07_ses-1.nii", "stem", "sub-07_ses-1"),
        ("p3_left.nii.gz", "prefix", "p3"),
        ("home/left.nii.gz", "folder", "home"),
    ],
)
def test_patient_from_the_name(name, by, patient):
    assert patient_of(Path(name), by) == patient


def test_slices_of_one_patient_stay_together(put):
    for n in range(8):
        spec = put(f"{'az'[n % 2]}/sub-{n // 2}_run-{n % 2}.nii")
    images = load_data(f"{spec}?split=0.5,0.5&window=60,120")
    homes = {}
    for entry in images.entries:
        assert homes.setdefault(entry.group, entry.split) == entry.split
    assert len(homes) == 5


def test_masks(put, tmp_path):
    put("m/mask.nii", (CUBE > 60).astype(np.uint8))
    put("m/moved.nii", (CUBE > 60).astype(np.uint8), AFFINE + np.eye(4)[:, [3, 0, 1, 2]])
    put("a/v.nii")
    lines = "path,label,mask\na/v.nii,x,m/mask.nii\nz/other.nii.gz,y,m/moved.nii\n"
    (tmp_path / "t.csv").write_text(lines)
    images = load_data(f"nifti:{tmp_path}/t.csv", window="60,120", size=8)
    case = images.read("a/v.nii#0002")
    assert case.mask.shape == (8, 8) and 0 < case.mask.sum() < 64
    with pytest.raises(DataError, match="lies in another place"):
        images.read("z/other.nii.gz#0002")


def test_damaged_and_odd_files_are_recorded(put, tmp_path):
    spec = put("a/cut.nii.gz")
    (tmp_path / "a/cut.nii.gz").write_bytes((tmp_path / "a/cut.nii.gz").read_bytes()[:-60])
    (tmp_path / "a/no.nii").write_bytes(b"no volume")
    put("a/flat.nii", CUBE[0])
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    put("a/rgb.nii", colour)
    images = load_data(spec, window="60,120")
    reasons = {bad.id: bad.reason for bad in images.collect(images.ids).bad}
    assert {name.split("#")[0] for name in reasons} == {
        f"a/{n}" for n in ("cut.nii.gz", "no.nii", "flat.nii", "rgb.nii")
    }
    assert "no three dimensions" in reasons["a/flat.nii#0000"] and "no grey values" in reasons["a/rgb.nii#0000"]
    assert str(tmp_path) not in "".join(reasons.values())


def test_without_nibabel(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    with pytest.raises(UsageError, match=r"needs the package nibabel.*percuss\[nifti\]"):
        nifti.open_set(str(tmp_path), {})


REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


@pytest.mark.real
def test_real_volumes(tmp_path):
    home = REAL / "dicom_nifti" / "nifti"
    if not home.is_dir():
        pytest.skip(f"no real NIfTI files at {home}; set PERCUSS_REAL_DATA")
    names = ("example_ct_sm.nii.gz", "anatomical.nii", "functional.nii")
    mask = home / "example_ct_sm_T300_output.nii.gz"
    lines = ["path,label,mask", f"{home / names[0]},0,{mask}", f"{home / names[1]},1,", f"{home / names[2]},1,"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    images = load_data(f"nifti:{tmp_path}/t.csv", window="40,400", unit="HU", time=0)
    assert len(images) == 30 + 25 + 3
    case = images.read(f"{home / names[0]}#0015")
    assert case.range == PixelRange(-160, 240, 1, "HU") and case.pixels.shape == (1, 101, 122)
    assert case.spacing_mm == (3.0, 3.0) and bool(case.mask[case.pixels[0] == 240].all()), "the mask holds all bone"
    assert case.pixels[0][case.mask > 0].mean() - case.pixels[0][case.mask == 0].mean() > 100
    with pytest.raises(DataError, match="fewer than two levels"):
        load_data(f"nifti:{tmp_path}/t.csv", window="40,0.01", time=0).read(f"{home / names[2]}#0001")
