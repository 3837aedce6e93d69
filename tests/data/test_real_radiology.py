"""The real sets of lung CT and brain MRI, which come as pictures: the same by folder and by table."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from percuss.data.spec import load_data

REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("lung_ct", ("normal", "benign", "malignant")),
        ("brain_mri", ("glioma_tumor", "meningioma_tumor", "pituitary_tumor")),
    ],
)
def test_folder_and_table_agree(name, classes):
    home = REAL / name
    if not home.is_dir():
        pytest.skip(f"no real image set at {home}; set PERCUSS_REAL_DATA")
    table, folder = load_data(f"csv:{home / 'labels.csv'}"), load_data(f"folder:{home}")
    assert set(table.classes) == set(folder.classes) == set(classes)
    assert set(table.ids) == set(folder.ids) and len(table) > 500
    for entry in folder.entries:
        other = table.entry(entry.id)
        assert table.classes[other.target] == folder.classes[entry.target] and other.split == entry.split
        assert other.group, "patients, or what stands for them, are only in the table"
    test = table.subset(split="test")
    pixels, targets = test.tensors(limit=9)
    assert pixels.shape == (9, 1, 224, 224) and sorted(set(targets.tolist())) == [0, 1, 2]
    case = test.read(test.ids[0])
    assert np.array_equal(case.pixels[0], np.asarray(Image.open(home / case.id)))
