"""ham10000:FOLDER, the dermoscopic images of HAM10000 with their table, grouped by lesion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.arrays import folder_of
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.files import FileSet
from percuss.data.labels import check_classes
from percuss.data.listed import counted, files_below, image_index, needed_table, read_table, table_among, with_files
from percuss.data.options import check_names, spec_text
from percuss.data.splits import check_entries, with_splits, with_val

OPTIONS = (*READING_OPTIONS, "split", "seed", "val")
#: Diagnoses in order of the alphabet.
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_TABLE = r"HAM10000_metadata(\.csv|\.tab|\.txt)?"
_TEST = r"ISIC2018_Task3_Test_GroundTruth(\.csv|\.tab)?"


def open_set(location: str, options: Mapping[str, str]) -> FileSet:
    """Images below ``location`` that ``HAM10000_metadata`` lists; groups are lesions, masks the segmentations if there.

    With the ISIC 2018 test table below the folder, HAM10000 is the split train and that table's images the split
    test. Options: the reading options; ``split`` and ``seed`` (draw splits by lesion, for HAM10000 alone);
    ``val=0.1`` with ``seed`` (validation out of train). DataError where the table or every image is missing, or a
    diagnosis is unknown.
    """
    check_names(options, OPTIONS, "ham10000")
    root = folder_of(location, "ham10000")
    files = files_below(root)
    main = needed_table(files, _TABLE, what="table of HAM10000", named="HAM10000_metadata, .csv or .tab")
    test = None if "split" in options else table_among(files, _TEST, "tables of the ISIC 2018 test set")
    listed = _listed(main, None if test is None else "train")
    if test is not None:
        listed += _listed(test, "test")
    entries, missing = with_files(listed, image_index(files, r"(ISIC_\d+)\.(?:jpe?g|png|tiff?)"), root)
    entries = with_val(with_splits(entries, options), options)
    check_entries(entries)
    check_classes(sorted({str(entry.target) for entry in entries}), "classify", f"the folder {location}")
    outlines = image_index(files, r"(ISIC_\d+)_segmentation\.png")
    masks = {entry.id: outlines[entry.id.lower()] for entry in entries if entry.id.lower() in outlines}
    spec = spec_text("ham10000", location, options)
    found = FileSet(spec, "classify", CLASSES, entries=entries, how=reading(options), masks=masks)
    found.dropped = counted(no_image_file=missing)
    return found


def _listed(table: Path, split: str | None) -> list[Entry]:
    """One entry for each row, its image's name as source."""
    header = table.read_bytes()[:4096].decode("utf-8", "replace").lower()
    one_hot = "image_id" not in header
    columns = ("image", *(name.upper() for name in CLASSES)) if one_hot else ("lesion_id", "image_id", "dx")
    entries = []
    for line, row in read_table(table, columns):
        if one_hot:
            target, name, lesion = _marked(row, line, table), row["image"], None
        else:
            target, name, lesion = _diagnosis(row["dx"], line, table), row["image_id"], row["lesion_id"] or None
        entries.append(Entry(name, target, split, lesion, name))
    return entries


def _diagnosis(text: str, line: int, table: Path) -> int:
    if text.lower() not in CLASSES:
        raise DataError(
            f"line {line} of {table.name} has an unknown diagnosis",
            value=repr(text),
            allowed=", ".join(CLASSES),
            next_step="give the table as distributed; for other lesions use csv:",
        )
    return CLASSES.index(text.lower())


def _marked(row: Mapping[str, str], line: int, table: Path) -> int:
    """The one class with a 1 among 0s."""
    try:
        values = [float(row[name.upper()]) for name in CLASSES]
    except ValueError:
        values = []
    if sorted(values) != [0.0] * (len(CLASSES) - 1) + [1.0]:
        raise DataError(
            f"line {line} of {table.name} does not mark one diagnosis",
            value=", ".join(row[name.upper()] for name in CLASSES),
            allowed="one 1 among 0s",
        )
    return values.index(1.0)


def miniature(folder: Path) -> str:
    """Write a table without an ending, fourteen images of ten lesions in two folders, one of them twice; their spec."""
    first, second = folder / "HAM10000_images_part_1", folder / "HAM10000_images_part_2"
    copy = folder / "copy" / "ham10000_images_part_1"  # Kaggle's mirror holds the folders again in small letters
    for home in (first, second, copy):
        home.mkdir(parents=True, exist_ok=True)
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"]
    for number in range(14):
        lesion, name = number if number < 6 else 6 + (number - 6) // 2, f"ISIC_{24306 + number:07d}"
        rows, columns = np.mgrid[0:45, 0:60]
        pixels = np.stack([rows * 4 + number, columns * 3 + number, rows + columns], -1).astype(np.uint8)
        home = first if number < 7 else second
        Image.fromarray(pixels).save(home / f"{name}.jpg", quality=90)
        if number == 0:
            Image.fromarray(pixels).save(copy / f"{name}.jpg", quality=90)
            mask = ((rows > 10) & (columns > 20)).astype(np.uint8) * 255
            Image.fromarray(mask).save(folder / f"{name}_segmentation.png")
        age = "" if number == 3 else "55.0"
        lines.append(f"HAM_{lesion:07d},{name},{CLASSES[lesion % 7]},histo,{age},male,back,vidir_modern")
    (folder / "HAM10000_metadata").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"ham10000:{folder}"
