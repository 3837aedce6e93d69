"""ham10000: lesions as groups, copies of folders, segmentations, the ISIC 2018 test set, and odd tables."""

import shutil

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data import ham10000
from percuss.data.spec import load_data


@pytest.fixture
def spec(tmp_path):
    return ham10000.miniature(tmp_path)


def test_classes_groups_and_masks(spec):
    images = load_data(spec)
    assert len(images) == 14 and images.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert images.splits == () and images.dropped == {}
    assert images.entry("ISIC_0024312").group == images.entry("ISIC_0024313").group == "HAM_0000006"
    case = images.read("ISIC_0024306")
    assert case.pixels.shape == (3, 45, 60) and case.mask.shape == (45, 60) and set(np.unique(case.mask)) == {0, 255}
    assert images.read("ISIC_0024307").mask is None


def test_lesions_are_never_divided(spec):
    images = load_data(f"{spec}?split=0.5,0.5&seed=1")
    home = {}
    for entry in images.entries:
        assert home.setdefault(entry.group, entry.split) == entry.split
    assert set(home.values()) == {"train", "test"}


def test_tabs_and_missing_files(spec, tmp_path):
    table = tmp_path / "HAM10000_metadata"
    text = table.read_text().replace(",", "\t").replace("lesion_id", '"lesion_id"')
    (tmp_path / "HAM10000_metadata.tab").write_text(text)
    table.unlink()
    assert len(load_data(spec)) == 14
    (tmp_path / "HAM10000_images_part_2" / "ISIC_0024315.jpg").unlink()
    images = load_data(spec)
    assert len(images) == 13 and images.dropped == {"no image file": 1}
    shutil.rmtree(tmp_path / "HAM10000_images_part_1")
    shutil.rmtree(tmp_path / "HAM10000_images_part_2")
    shutil.rmtree(tmp_path / "copy")
    with pytest.raises(DataError, match=r"none of the table's images.*ISIC_0024306.*unpack"):
        load_data(spec)


@pytest.mark.parametrize("one_hot", [True, False])
def test_the_test_set_of_isic_2018(spec, tmp_path, one_hot):
    image = next((tmp_path / "HAM10000_images_part_1").glob("*.jpg"))
    shutil.copy(image, tmp_path / "ISIC_0034524.jpg")
    head, row = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC", "ISIC_0034524,0.0,1.0,0.0,0.0,0.0,0.0,0.0"
    if not one_hot:
        head, row = "lesion_id,image_id,dx", "HAMTEST_0000000,ISIC_0034524,nv"
    (tmp_path / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(f"{head}\n{row}\n")
    images = load_data(spec, val=0.3)
    assert images.subset(split="test").ids == ("ISIC_0034524",) and images.entry("ISIC_0034524").target == 5
    assert set(images.splits) == {"train", "val", "test"}
    assert len(load_data(f"{spec}?split=0.5,0.5")) == 14  # drawn from HAM10000 alone
    (tmp_path / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(
        f"{head}\n{row.replace('1.0', '0').replace('nv', 'x')}\n"
    )
    with pytest.raises(DataError, match="line 2 of ISIC2018_Task3_Test_GroundTruth.csv"):
        load_data(spec)


def test_two_different_copies(spec, tmp_path):
    copy = next((tmp_path / "copy").rglob("*.jpg"))
    copy.write_bytes(copy.read_bytes() + b"more")
    with pytest.raises(DataError, match="two different files hold one image"):
        load_data(spec)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",bcc,", ",scc,", "line 3 of HAM10000_metadata has an unknown diagnosis: 'scc'.*akiec, bcc"),
        ("ISIC_0024307,", "ISIC_0024306,", "an image is listed 2 times: ISIC_0024306"),
        (",vidir_modern\nHAM_0000002", "\nHAM_0000002", "line 3 of the table has more or fewer values"),
        ("lesion_id,", "lesion,", "the table has no column lesion_id"),
    ],
)
def test_odd_tables(spec, tmp_path, old, new, words):
    table = tmp_path / "HAM10000_metadata"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=words):
        load_data(spec)


def test_tables_missing_or_twice(spec, tmp_path):
    (tmp_path / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\n")
    with pytest.raises(DataError, match="there are several table of HAM10000"):
        load_data(spec)
    (tmp_path / "HAM10000_metadata").unlink()
    with pytest.raises(DataError, match="the table holds no images"):
        load_data(spec)
    (tmp_path / "HAM10000_metadata.csv").unlink()
    with pytest.raises(DataError, match="holds no table of HAM10000"):
        load_data(spec)
