"""dicom: scale, window, photometric kinds, frames, groups; files that cannot be used; real samples if at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data import dicom
from percuss.data.dicom_write import uid, write_dicom
from percuss.data.spec import load_data

RAMP = np.arange(-1200, 400, 20).reshape(8, 10).astype(np.int16)


@pytest.fixture
def put(tmp_path):
    """Writes a file and gives the spec of its folder; the second class is there already."""
    write_dicom(tmp_path / "z" / "other.dcm", RAMP, SOPInstanceUID=uid(99), Modality="CT", RescaleSlope=1)

    def write(name="a/1.dcm", pixels=RAMP, number=0, **tags):
        write_dicom(
            tmp_path / name,
            pixels,
            **({"SOPInstanceUID": uid(1, number or int(name.encode().hex(), 16) % 10**9)} | tags),
        )
        return f"dicom:{tmp_path}"

    return write


def test_scale_and_window(put):
    spec = put(Modality="CT", RescaleSlope=2, RescaleIntercept=-100, PixelSpacing=[0.5, 0.7], PatientID="p1")
    whole = load_data(spec).read("a/1.dcm")
    assert np.array_equal(whole.pixels[0], RAMP.astype(float) * 2 - 100)
    assert whole.range == PixelRange(-65636, 65434, 2, "HU") and whole.spacing_mm == (0.5, 0.7) and whole.group == "p1"
    case = load_data(spec, window="-600,1500").read("a/1.dcm")
    assert case.range == PixelRange(-1350, 150, 2, "HU")
    assert np.array_equal(case.pixels[0], np.clip(RAMP.astype(float) * 2 - 100, -1350, 150))
    one = load_data(spec, window="-600,1500", step=100).read("a/1.dcm")
    assert one.range == PixelRange(-1350, 150, 100, "HU") and set((one.pixels.ravel() + 1350) % 100) == {0}


def test_one_window_brings_scales_together(put):
    put("a/signed.dcm", RescaleIntercept=0, Modality="CT")
    spec = put("a/shifted.dcm", (RAMP + 1200).astype(np.uint16), RescaleIntercept=-1200, Modality="CT", BitsStored=12)
    images = load_data(spec, window="40,400")
    first, second = (images.read(f"a/{name}.dcm") for name in ("signed", "shifted"))
    assert np.array_equal(first.pixels, second.pixels) and first.range == second.range == PixelRange(-160, 240, 1, "HU")
    assert first.pixels.dtype == np.int16 and images.tensors()[0].shape == (3, 1, 8, 10)
    assert len(load_data(spec).collect(images.ids).bad) == 1, "without a window their ranges differ"


def test_monochrome1_is_turned_over_within_its_range(put):
    deep = (RAMP + 1200).astype(np.uint16)
    spec = put(pixels=deep, PhotometricInterpretation="MONOCHROME1", BitsStored=12, Modality="CR")
    case = load_data(spec).read("a/1.dcm")
    assert case.range == PixelRange(0, 4095) and np.array_equal(case.pixels[0], 4095 - deep)
    windowed = load_data(spec, window="500,400").read("a/1.dcm")
    assert np.array_equal(windowed.pixels[0], 1000 - np.clip(deep, 300, 700).astype(int))


def test_bits_above_those_stored_are_no_values(put):
    deep = (RAMP + 1200).astype(np.uint16)
    spec = put(pixels=deep | 0x8000, BitsStored=12)
    assert np.array_equal(load_data(spec).read("a/1.dcm").pixels[0], deep)
    put("a/deep.dcm", deep * 2)
    assert load_data(spec, bits=12).read("a/deep.dcm").range == PixelRange(0, 4095)
    with pytest.raises(DataError, match="leaves the range of its declared bits: 0 to 3160"):
        load_data(spec, bits=10).read("a/deep.dcm")


def test_frames(put):
    frames = np.stack([RAMP + n for n in range(5)])
    spec = put(pixels=frames, StudyInstanceUID="1.2.3")
    images = load_data(spec)
    assert images.ids[:2] == ("a/1.dcm#0001", "a/1.dcm#0002") and len(images) == 6
    assert np.array_equal(images.read("a/1.dcm#0004").pixels[0], frames[3])
    assert {e.group for e in images.entries} == {"1.2.3", None}
    assert load_data(spec, frames="middle").ids == ("a/1.dcm#0003", "z/other.dcm")


def test_each_frame_has_its_own_scale(put):
    def item(**values):
        found = Dataset()
        for name, value in values.items():
            setattr(found, name, value)
        return found

    own = [item(PixelValueTransformationSequence=[item(RescaleSlope=s, RescaleIntercept=5)]) for s in (1, 2)]
    shared = item(PixelMeasuresSequence=[item(PixelSpacing=[0.25, 0.5])])
    spec = put(
        pixels=np.stack([RAMP, RAMP]),
        Modality="MR",
        PerFrameFunctionalGroupsSequence=own,
        SharedFunctionalGroupsSequence=[shared],
    )
    case = load_data(spec, size=4).read("a/1.dcm#0002")
    assert case.range.step == 2 and case.range.unit == "rescaled value" and case.spacing_mm == (0.5, 1.25)
    assert np.array_equal(load_data(spec).read("a/1.dcm#0002").pixels[0], RAMP.astype(float) * 2 + 5)


def test_colour(put):
    rgb = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    spec = put(pixels=rgb)
    case = load_data(spec).read("a/1.dcm")
    assert np.array_equal(case.pixels, rgb.transpose(2, 0, 1)) and case.range == PixelRange(0, 255)
    assert load_data(spec, channels="grey").read("a/1.dcm").pixels.shape == (1, 6, 7)
    with pytest.raises(DataError, match="is in colour, which has no window"):
        load_data(spec, window="40,400").read("a/1.dcm")


def test_palette(put):
    table = np.arange(256, dtype=np.uint8)
    tags = {
        f"{c}PaletteColorLookupTableData": (table[::-1] if c == "Red" else table).tobytes() for c in ("Red", "Green")
    }
    tags |= {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 8] for c in ("Red", "Green", "Blue")}
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    spec = put(
        pixels=numbers,
        PhotometricInterpretation="PALETTE COLOR",
        BluePaletteColorLookupTableData=table.tobytes(),
        **tags,
    )
    assert np.array_equal(load_data(spec).read("a/1.dcm").pixels, np.stack([255 - numbers, numbers, numbers]))


def test_groups(put):
    put("a/1.dcm", PatientID=" p1 ", StudyInstanceUID="1.1", SeriesInstanceUID="1.2")
    spec = put("a/2.dcm", PatientID="p1", StudyInstanceUID="1.3", SeriesInstanceUID="1.4")
    found = {
        by: [e.group for e in load_data(spec, group=by).entries[:2]] for by in ("patient", "study", "series", "none")
    }
    assert found == {
        "patient": ["p1", "p1"],
        "study": ["1.1", "1.3"],
        "series": ["1.2", "1.4"],
        "none": [None, None],
    }


def test_a_patient_in_two_splits(tmp_path):
    for number, name in enumerate(("train/a/1", "train/b/2", "test/a/3", "test/b/4")):
        write_dicom(tmp_path / f"{name}.dcm", RAMP, SOPInstanceUID=uid(number), PatientID=f"p{number % 3}")
    with pytest.raises(DataError, match="a group stands in the splits test and train: p0"):
        load_data(f"dicom:{tmp_path}")


def test_one_image_under_two_labels(put):
    put("a/1.dcm", number=7)
    spec = put("z/1.dcm", number=7)
    with pytest.raises(DataError, match=r"listed twice, with two labels or splits: a/1\.dcm and z/1\.dcm"):
        load_data(spec)


def test_table_with_masks(tmp_path):
    lines = ["path,label,patient,mask"]
    for n in range(4):
        write_dicom(tmp_path / f"{n}.dcm", RAMP, SOPInstanceUID=uid(n), PatientID="anonymous")
        Image.fromarray((RAMP > 0).astype(np.uint8)).save(tmp_path / f"{n}.png")
        lines.append(f"{n}.dcm,{'ab'[n % 2]},q{n},{n}.png")
    write_dicom(tmp_path / "0.png.dcm", (RAMP > 0).astype(np.uint8))
    (tmp_path / "t.csv").write_text("\n".join(lines).replace("q0,0.png", "q0,0.png.dcm"))
    images = load_data(f"dicom:{tmp_path}/t.csv?split=0.5,0.5&window=0,400")
    assert [e.group for e in images.entries] == ["q0", "q1", "q2", "q3"] and set(images.splits) == {"train", "test"}
    for name in images.ids:
        assert np.array_equal(images.read(name).mask, RAMP > 0)
    with pytest.raises(DataError, match="speaks of a table, and the data are a folder: label_column"):
        dicom.open_set(str(tmp_path), {"label_column": "x"})


def test_damaged_files_are_recorded(put, tmp_path):
    put("a/fine.dcm", Modality="CT", RescaleSlope=1)
    spec = put("a/cut.dcm", RAMP)
    whole = (tmp_path / "a/cut.dcm").read_bytes()
    (tmp_path / "a/cut.dcm").write_bytes(whole[:-40])
    (tmp_path / "a/no.dcm").write_bytes(b"nothing of the kind")
    put("a/table.dcm", ModalityLUTSequence=[Dataset()])
    put("a/flat.dcm", RescaleSlope=0)
    (tmp_path / "DICOMDIR").write_bytes(whole)
    images = load_data(spec)
    reasons = {bad.id: bad.reason for bad in images.collect(images.ids).bad}
    assert set(reasons) == {f"a/{name}.dcm" for name in ("cut", "no", "table", "flat")}
    assert "cannot be read as DICOM" in reasons["a/no.dcm"] and 'pip install "percuss[dicom]"' in reasons["a/cut.dcm"]
    assert "scaled by a table" in reasons["a/table.dcm"] and "Rescale Slope" in reasons["a/flat.dcm"]


@pytest.mark.parametrize("text", ["40", "40,0", "40,-1", "a,b", "nan,4", "1,2,3"])
def test_windows_without_sense(put, text):
    with pytest.raises(DataError, match="the window makes no sense"):
        load_data(put(), window=text)


def test_steps_without_sense(put):
    with pytest.raises(DataError, match="the step of levels makes no sense"):
        load_data(put(), step=1)
    with pytest.raises(DataError, match="no whole number of steps"):
        load_data(put(), window="40,400", step=3)
    with pytest.raises(DataError, match="fewer than two levels"):
        load_data(put(RescaleSlope=50), window="0,60").read("a/1.dcm")


def test_files_without_ending_are_known_by_their_start(put, tmp_path):
    spec = put("a/IM0001")
    (tmp_path / "a" / "README").write_text("no image")
    assert load_data(spec).ids == ("a/IM0001", "z/other.dcm")


REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


@pytest.mark.real
def test_real_files(tmp_path):
    home = REAL / "dicom_nifti"
    if not home.is_dir():
        pytest.skip(f"no real DICOM files at {home}; set PERCUSS_REAL_DATA")
    names = [
        "pydicom/CT_small",
        "pydicom-data/693_UNCI",
        "pydicom-data/emri_small",
        "highdicom/dx_image",
        "pydicom/examples_palette",
        "pydicom/MR_truncated",
        "pydicom/no_meta",
        "pydicom/badVR",
        "cornerstone/CTImage",
    ]
    lines = ["path,label", *(f"{home / name}.dcm,{number % 2}" for number, name in enumerate(names))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    images = load_data(f"dicom:{tmp_path}/t.csv")
    assert len(images) == 18  # ten frames of one file
    got = {Path(name).name: name for name in images.ids}
    ct = images.read(got["CT_small.dcm"])
    assert ct.range.unit == "HU" and (ct.pixels.min(), ct.pixels.max()) == (128 - 1024, 2191 - 1024)
    assert images.read(got["693_UNCI.dcm"]).range == PixelRange(-8192 - 1024, 8191 - 1024, 1, "HU")
    assert ct.group == "1CT1" and ct.spacing_mm == (0.661468, 0.661468)
    assert images.read(got["dx_image.dcm"]).pixels.max() == 250  # MONOCHROME1, smallest stored value 5
    assert images.read(got["examples_palette.dcm"]).pixels.shape == (3, 350, 800)
    assert images.read(got["emri_small.dcm#0010"]).range == PixelRange(0, 4095)
    for name in ("MR_truncated.dcm", "no_meta.dcm", "badVR.dcm"):
        with pytest.raises(DataError, match="cannot be read as DICOM"):
            images.read(got[name])
    lung = load_data(f"dicom:{tmp_path}/t.csv", window="-600,1500", size=64)
    pair = [lung.read(got[name]) for name in ("CT_small.dcm", "CTImage.dcm")]
    assert {case.range for case in pair} == {PixelRange(-1350, 150, 1, "HU")} and pair[1].pixels.std() > 50


def test_tables_of_class_maps_are_not_for_slices(tmp_path):
    with pytest.raises(DataError, match="the option task has an unknown value: segment. Allowed: classify, multilabel"):
        load_data(f"dicom:{tmp_path}/t.csv?task=segment")
