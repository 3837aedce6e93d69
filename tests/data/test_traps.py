"""Traps of the data sets' true formats, arrays and pictures: each lies in the miniature; the reader is not caught.

What would make a set unreadable as a whole (damaged files, tables that contradict) is in each reader's own test.
"""

import csv

import numpy as np
from PIL import Image

from percuss.data.spec import load_data


def test_pannuke__spelling_of_folders(trapped):
    folder, spec = trapped
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"Fold 1", "Fold2", "fold_3"}
    assert load_data(spec).splits == ("fold1", "fold2", "fold3")


def test_pannuke__any_type_of_number(trapped):
    folder, spec = trapped
    kinds = {np.load(path, mmap_mode="r").dtype for path in folder.rglob("images.npy")}
    assert kinds == {np.dtype(kind) for kind in ("float64", "float32", "uint8")}
    assert {load_data(spec).read(f"fold{fold}/0000").pixels.dtype for fold in (1, 2, 3)} == {np.dtype("uint8")}


def test_pannuke__instances_are_ids_not_a_count(trapped):
    folder, spec = trapped
    masks = np.load(next(folder.rglob("fold1/masks.npy")))
    assert len(np.unique(masks[0, ..., 0])) - 1 == 6 and masks[0, ..., 0].max() > 50
    assert load_data(spec).entry("fold1/0000").target == 1


def test_pannuke__patches_without_nuclei_and_few(trapped):
    spec = trapped[1]
    assert load_data(spec).entry("fold1/0001").target == 0 and "fold1/0002" not in load_data(spec).ids


def test_pannuke__background_is_no_class_and_kinds_overlap(trapped):
    folder, spec = trapped
    masks = np.load(next(folder.rglob("fold1/masks.npy")))
    assert masks[1, ..., 5].all() and ((masks[3, ..., 0] > 0) & (masks[3, ..., 4] > 0)).any()
    assert set(np.unique(load_data(spec).read("fold1/0003").mask)) == {0, 1, 5}


def test_pannuke__types_missing_in_a_partial_download(trapped):
    folder, spec = trapped
    assert len(list(folder.rglob("types.npy"))) == 2 and len(load_data(spec)) == 9


def test_mnist__two_spellings_and_packed_files(trapped):
    folder, spec = trapped
    names = {path.name for path in folder.rglob("*ubyte*")}
    assert {"train-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte"} <= names and len(load_data(spec)) == 25


def test_mnist__big_endian_and_a_split_for_each_file(trapped):
    folder, spec = trapped
    head = (folder / "MNIST/raw/t10k-labels.idx1-ubyte").read_bytes()[:8]
    assert head == bytes([0, 0, 8, 1, 0, 0, 0, 5]) and load_data(spec).entry("test/00004").target == 4


def test_cifar10__planes_and_not_pixels(trapped):
    folder, spec = trapped
    record = (folder / "cifar-10-batches-bin/data_batch_1.bin").read_bytes()[:3073]
    case = load_data(spec).read("data_batch_1/00000")
    assert case.pixels.tobytes() == record[1:] and case.target == record[0] and case.pixels.shape == (3, 32, 32)


def test_cifar10__a_pickle_beside_is_not_opened(trapped):
    folder, spec = trapped
    (pickled,) = folder.rglob("*-py/data_batch_1")
    assert b"exec" in pickled.read_bytes()
    assert all(entry.source.endswith(".bin") for entry in load_data(spec).entries)


def test_ham10000__table_without_an_ending(trapped):
    folder, spec = trapped
    assert (folder / "HAM10000_metadata").is_file() and len(load_data(spec)) == 14


def test_ham10000__two_folders_and_copies_in_small_letters(trapped):
    folder, spec = trapped
    assert len(list(folder.rglob("ISIC_0024306.jpg"))) == 2 and len(load_data(spec)) == 14
    assert {path.parent.name for path in folder.glob("HAM*/*.jpg")} == {f"HAM10000_images_part_{n}" for n in (1, 2)}


def test_ham10000__several_images_of_a_lesion(trapped, whole_groups):
    assert whole_groups(trapped[1])


def test_ham10000__age_unknown(trapped):
    folder, spec = trapped
    rows = list(csv.DictReader((folder / "HAM10000_metadata").read_text().splitlines()))
    (row,) = (row for row in rows if row["age"] == "")
    assert row["image_id"] in load_data(spec).ids


def test_chestxray14__extra_channels(trapped):
    folder, spec = trapped

    kinds, images = [], load_data(spec)
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            kinds.append(image.mode)
    assert kinds.count("RGBA") == 2 and {images.read(name).pixels.shape[0] for name in images.ids} == {1}


def test_chestxray14__broken_header_and_odd_ages(trapped):
    folder, spec = trapped
    lines = (folder / "Data_Entry_2017_v2020.csv").read_text().splitlines()
    assert "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]," in lines[0] and "Patient Sex" in lines[0]
    assert {line.split(",")[4] for line in lines[1:]} == {"058Y", "411", "61"} and len(load_data(spec)) == 12


def test_chestxray14__several_findings_and_none(trapped):
    folder, spec = trapped
    text = (folder / "Data_Entry_2017_v2020.csv").read_text()
    assert "Effusion|Pneumothorax" in text and "No Finding" in text
    assert (
        load_data(spec).entry("00000002_000.png").target == 1 and load_data(spec).entry("00000001_001.png").target == 0
    )


def test_chestxray14__folders_of_the_mirror_and_boxes(trapped):
    folder = trapped[0]
    assert {path.parts[-3] for path in folder.rglob("*.png")} == {"images_001", "images_002"}
    assert (folder / "BBox_List_2017.csv").read_text().startswith("Image Index,Finding Label,Bbox [x,y,w,h],,,")


def test_chestxray14__official_lists_by_patient(trapped, whole_groups):
    spec = trapped[1]
    assert load_data(spec).splits == ("train", "test") and whole_groups(spec)


def test_diabetic_retinopathy__two_eyes_of_a_patient(trapped, whole_groups):
    spec = trapped[1]
    assert whole_groups(spec)
    one, two = (load_data(spec).entry(f"12_{eye}") for eye in ("left", "right"))
    assert one.group == two.group and one.target != two.target


def test_diabetic_retinopathy__sizes_and_endings_differ(trapped):
    folder, spec = trapped
    assert {path.suffix for path in folder.rglob("1*_*.*")} == {".jpeg", ".tiff"}
    plain = load_data(f"diabetic_retinopathy:{folder}")
    assert len({plain.read(name).pixels.shape for name in plain.ids}) == 2
    assert len({load_data(spec).read(name).pixels.shape for name in plain.ids}) == 1


def test_diabetic_retinopathy__upside_down(trapped):
    spec = trapped[1]
    images = load_data(spec)
    upper, lower = ([images.read(f"{n}_left").pixels[0, half].mean() for n in (10, 11)]
                    for half in (slice(0, 24), slice(24, 48)))  # fmt: skip
    assert upper[0] < lower[0] and upper[1] > lower[1], "the dark mark lies above in one and below in the other"


def test_diabetic_retinopathy__test_table_with_its_usage(trapped):
    folder, spec = trapped
    assert (folder / "retinopathy_solution.csv").read_text().splitlines()[0] == "image,level,Usage"
    assert len(load_data(spec).subset(split="test")) == 4
