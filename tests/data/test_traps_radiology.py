"""Traps of the data sets' true formats, DICOM and NIfTI: each lies in the miniature, and the reader is not caught.

What would make a set unreadable as a whole (damaged files, tables that contradict) is in each reader's own test.
"""

import csv
import io
import re

import numpy as np
from pydicom import dcmread

from percuss.data.spec import load_data


def test_dicom__slopes_bits_and_signs_differ(trapped):
    folder, spec = trapped
    heads = [dcmread(path) for path in folder.rglob("im0*") if path.is_file()]
    assert {int(head.BitsStored) for head in heads} == {12, 16} and {int(h.RescaleIntercept) for h in heads} == {
        -1024,
        0,
    }
    assert {load_data(spec).read(name).range.unit for name in load_data(spec).ids} == {"HU"}


def test_dicom__turned_over_frames_and_no_ending(trapped):
    folder, spec = trapped
    heads = {path.name: dcmread(path) for path in folder.rglob("*") if path.is_file() and path.suffix not in (".txt",)
             and path.name != "DICOMDIR"}  # fmt: skip
    assert {head.PhotometricInterpretation for head in heads.values()} == {"MONOCHROME1", "MONOCHROME2"}
    assert "im0" in heads and int(heads["frames.dcm"].NumberOfFrames) == 3
    assert len(load_data(spec)) == 10, "each frame is an image"


def test_dicom__a_directory_file_and_notes(trapped):
    folder, spec = trapped
    assert (folder / "DICOMDIR").exists() and not [name for name in load_data(spec).ids if "DICOMDIR" in name]


def test_dicom__patients_with_several_images(trapped, whole_groups):
    assert whole_groups(trapped[1])


def test_nifti__axes_types_packing_and_times(trapped):
    folder, spec = trapped
    import nibabel

    found = [nibabel.load(path) for path in sorted(folder.glob("sub-*"))]
    assert len({nibabel.aff2axcodes(one.affine) for one in found}) == 2
    assert {one.get_data_dtype() for one in found} == {np.dtype("int16"), np.dtype("float32")}
    assert [one.ndim for one in found].count(4) == 1 and list(folder.glob("*.nii.gz"))
    images = load_data(spec)
    assert images.ids and {images.read(name).range.unit for name in images.ids} == {"HU"}


def test_nifti__slices_and_volumes_of_a_patient(trapped, whole_groups):
    assert whole_groups(trapped[1])


def test_lidc__places_of_the_xml_and_radiographs(trapped):
    folder, spec = trapped
    series = {re.search("<SeriesInstanceUid>(.+?)<", path.read_text())[1]: path for path in folder.rglob("*.xml")}
    assert len(list(folder.rglob("*.xml"))) > len(series), "some are there twice"
    assert load_data(spec).dropped["XML of another kind"] == 1


def test_lidc__points_holes_and_wrong_heights(trapped):
    folder, spec = trapped
    text = next(path for path in folder.rglob("069.xml")).read_text()
    assert "<inclusion>FALSE</inclusion>" in text and "<nonNodule>" in text
    heights = {float(one) for one in re.findall("<imageZposition>(.+?)<", text)}
    heads = [dcmread(path) for path in folder.rglob("*.dcm")]
    assert len(heights) == 4 and not any("SliceLocation" in head for head in heads), "joined by image, not by height"
    assert load_data(spec).dropped["points for nodules below 3 mm"] == 24


def test_lidc__slices_twice_and_two_scans_of_a_patient(trapped, whole_groups):
    folder, spec = trapped
    names = [dcmread(path).SOPInstanceUID for path in folder.rglob("*.dcm")]
    assert len(names) > len(set(names)) and whole_groups(spec)


def test_lidc__readers_undecided_and_slopes(trapped):
    folder, spec = trapped
    assert load_data(spec).dropped["median malignancy 3"] == 6
    assert {int(dcmread(path).RescaleIntercept) for path in folder.rglob("*.dcm")} == {0, -1024}


def test_cbis_ddsm__line_breaks_and_paths_that_are_not_those_of_the_download(trapped):
    folder, spec = trapped
    rows = list(csv.DictReader(io.StringIO((folder / "mass_case_description_train_set.csv").read_text())))
    assert all(row["ROI mask file path"].endswith("\n") for row in rows)
    assert not [row for row in rows if (folder / "CBIS-DDSM" / row["image file path"]).exists()]
    assert len(load_data(spec)) == 9


def test_cbis_ddsm__cut_out_and_mask_in_either_order(trapped):
    folder, spec = trapped
    firsts = [dcmread(path).pixel_array for path in folder.rglob("1-1.dcm") if re.search(r"_\d/", path.as_posix())]
    two_valued = [len(np.unique(pixels)) <= 2 for pixels in firsts]
    assert 0 < sum(two_valued) < len(two_valued)
    assert all(len(np.unique(load_data(spec).read(name).pixels)) > 2 for name in load_data(spec).ids)


def test_cbis_ddsm__patients_in_both_kinds_and_both_splits(trapped):
    spec = trapped[1]
    entries = load_data(spec).entries
    kinds = {}
    for entry in entries:
        kinds.setdefault(entry.group, set()).add(entry.id.partition("-")[0])
    assert {"mass", "calc"} in kinds.values()
    assert len({(entry.group, entry.split) for entry in entries}) == len({entry.group for entry in entries})


def test_cbis_ddsm__columns_of_density_are_spelt_in_two_ways(trapped):
    folder = trapped[0]
    heads = {path.read_text().partition("\n")[0].split(",")[1] for path in folder.glob("*.csv")}
    assert heads == {"breast_density", "breast density"}


def test_cbis_ddsm__benign_without_callback_is_benign(trapped):
    folder, spec = trapped
    assert any("BENIGN_WITHOUT_CALLBACK" in path.read_text() for path in folder.glob("*.csv"))
    assert load_data(spec).classes == ("benign", "malignant")
