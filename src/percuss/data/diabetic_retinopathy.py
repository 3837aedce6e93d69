"""diabetic_retinopathy:FOLDER, the fundus images of the Kaggle competition of 2015 (EyePACS), grouped by patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry
from percuss.data.arrays import folder_of
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.files import FileSet
from percuss.data.labels import check_classes
from percuss.data.listed import counted, files_below, image_index, needed_table, read_table, table_among, with_files
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import check_entries, with_splits, with_val

OPTIONS = (*READING_OPTIONS, "label", "split", "seed", "val")
GRADES = ("no retinopathy", "mild", "moderate", "severe", "proliferative")
REFERABLE = ("not referable", "referable")
_FROM = 2  # moderate and worse are referable
_BLANK = 16 / 255  # an image whose values spread less than this share of its range shows no eye


class EyeSet(FileSet):
    """Fundus images; a blank frame is an error of that image, so that an audit lists and skips it."""

    def read(self, case_id: str) -> Case:
        """Decode one file. DataError where it is damaged or shows nothing."""
        case = super().read(case_id)
        spread = int(case.pixels.max()) - int(case.pixels.min())
        if spread < _BLANK * case.range.span:
            raise DataError(
                f"image {case_id} is a blank frame",
                value=f"values {int(case.pixels.min())} to {int(case.pixels.max())}",
                next_step="leave it out of the table; an audit skips and lists it",
            )
        return case


def open_set(location: str, options: Mapping[str, str]) -> EyeSet:
    """Images that ``trainLabels.csv`` below ``location`` lists (train), and ``retinopathy_solution.csv`` (test).

    Options: ``label=grade`` (five grades, the default) or ``referable`` (grades 2 to 4 against 0 and 1); the reading
    options; ``split`` and ``seed`` (draw splits over patients among all images in place of the given ones);
    ``val=0.1`` with ``seed`` (patients out of train). DataError where the table or every image is missing, or a
    grade or a name is odd.
    """
    check_names(options, OPTIONS, "diabetic_retinopathy")
    referable = choice(options, "label", ("grade", "referable")) == "referable"
    root = folder_of(location, "diabetic_retinopathy")
    files = files_below(root)
    train = needed_table(files, r"trainLabels\.csv", what="table trainLabels.csv", named="trainLabels.csv: image,level")
    test = table_among(files, r"retinopathy_solution\.csv", "tables retinopathy_solution.csv")
    drawn = "split" in options
    listed = _listed(train, None if drawn else "train", referable)
    if test is not None:
        listed += _listed(test, None if drawn else "test", referable)
    index = image_index(files, r"(\d+_(?:left|right))\.(?:jpe?g|tiff?|png)")
    entries, missing = with_files(listed, index, root)
    entries = with_val(with_splits(entries, options), options)
    check_entries(entries)
    check_classes(sorted({str(entry.target) for entry in entries}), "classify", f"the folder {location}")
    spec = spec_text("diabetic_retinopathy", location, options)
    classes = REFERABLE if referable else GRADES
    found = EyeSet(spec, "classify", classes, entries=entries, how=reading(options), masks={})
    found.dropped = counted(no_image_file=missing)
    return found


def _listed(table: Path, split: str | None, referable: bool) -> list[Entry]:
    """One entry for each row, its image's name as source; both eyes of a patient form a group."""
    entries = []
    for line, row in read_table(table, ("image", "level")):
        name = re.fullmatch(r"(\d+)_(left|right)", row["image"])
        if name is None:
            raise DataError(
                f"line {line} of {table.name} names no eye",
                value=row["image"],
                allowed="NUMBER_left or NUMBER_right",
                next_step="give the table as distributed; for other names use csv:",
            )
        if row["level"] not in ("0", "1", "2", "3", "4"):
            raise DataError(
                f"line {line} of {table.name} has no grade",
                value=repr(row["level"]),
                allowed="0, 1, 2, 3 or 4",
                next_step="give the table as distributed",
            )
        grade = int(row["level"])
        entries.append(Entry(row["image"], int(grade >= _FROM) if referable else grade, split, name[1], row["image"]))
    return entries


def miniature(folder: Path) -> str:
    """Write both eyes of six patients, one as TIFF, of two sizes, some upside down, in two splits; their spec."""
    for home in ("train", "test"):
        (folder / home).mkdir(parents=True, exist_ok=True)
    train, test = ["image,level"], ["image,level,Usage"]
    for patient in range(6):
        for side, eye in enumerate(("left", "right")):
            name, level = f"{10 + patient}_{eye}", (patient + side * (patient == 2)) % 5
            size = 48 if patient != 3 else 64
            rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
            disc = ((rows**2 + columns**2) < 0.2)[..., None] * np.array([200, 90 + 20 * side, 40 + 10 * patient])
            disc[size // 4 : size // 3, size // 4 : size // 3] //= 2  # what tells up from down
            image = Image.fromarray(np.ascontiguousarray(disc[::-1] if patient == 1 else disc).astype(np.uint8))
            shelf = folder / ("train" if patient < 4 else "test")
            if patient == 2:  # copies in other collections come as TIFF
                image.save(shelf / f"{name}.tiff")
            else:
                image.save(shelf / f"{name}.jpeg", quality=90)
            if patient < 4:
                train.append(f"{name},{level}")
            else:
                test.append(f"{name},{level},{'Public' if patient == 4 else 'Private'}")
    (folder / "trainLabels.csv").write_text("\n".join(train) + "\n", encoding="utf-8")
    (folder / "retinopathy_solution.csv").write_text("\n".join(test) + "\n", encoding="utf-8")
    return f"diabetic_retinopathy:{folder}?size=48"
