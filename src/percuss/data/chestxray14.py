"""chestxray14:FOLDER, the NIH's ChestX-ray14: one finding against the rest or all fourteen, grouped by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError, nearest
from percuss.core.images import Entry, Task
from percuss.data.arrays import folder_of
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.files import FileSet
from percuss.data.labels import check_classes
from percuss.data.listed import (
    Row,
    counted,
    files_below,
    image_index,
    needed_table,
    read_table,
    table_among,
    with_files,
)
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import check_entries, with_splits, with_val

OPTIONS = (*READING_OPTIONS, "label", "against", "split", "seed", "val")
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
_NONE = "No Finding"


def open_set(location: str, options: Mapping[str, str]) -> FileSet:
    """Images below ``location`` that ``Data_Entry_2017.csv`` (or ``_v2020``) lists; groups are patients.

    Options: ``label=pneumothorax`` (the default), another finding, or ``all`` (multilabel); ``against=rest`` (the
    default) or ``healthy`` (images with other findings are left out and counted); the reading options, grey and
    without alpha by default, as some files have colour channels; ``split`` and ``seed`` in place of the official
    lists; ``val=0.1`` with ``seed`` (patients out of train). DataError where a table or every image is missing,
    only one list is there, or a label is unknown.
    """
    check_names(options, OPTIONS, "chestxray14")
    root = folder_of(location, "chestxray14")
    files = files_below(root)
    table = needed_table(
        files, r"Data_Entry_2017(_v\d+)?\.csv", what="Data_Entry table", named="Data_Entry_2017.csv or _v2020.csv"
    )
    task, classes, finding = _question(options.get("label", "pneumothorax"))
    healthy = choice(options, "against", ("rest", "healthy")) == "healthy"
    if healthy and finding is None:
        raise DataError("against goes with a single finding", value="label=all", next_step="leave ?against= out")
    rows = read_table(table, ("Image Index", "Finding Labels", "Patient ID"))
    listed = [_entry(row, finding) for row in rows]
    kept = [entry for entry, others in listed if not (healthy and others and entry.target == 0)]
    if "split" not in options:
        kept = _official(kept, files)
    entries, missing = with_files(kept, image_index(files, r"(\d+_\d+\.png)"), root)
    entries = with_val(with_splits(entries, options), options)
    check_entries(entries)
    seen = classes if task == "multilabel" else sorted({str(entry.target) for entry in entries})
    check_classes(seen, task, f"{location} with label={options.get('label', 'pneumothorax')}")
    how = reading({"channels": "grey", "alpha": "drop", **options})
    spec = spec_text("chestxray14", location, options)
    found = FileSet(spec, task, classes, entries=entries, how=how, masks={})
    found.dropped = counted(other_findings=len(listed) - len(kept), no_image_file=missing)
    return found


def _question(label: str) -> tuple[Task, tuple[str, ...], str | None]:
    """Task, class names and the finding asked for; None for all of them."""
    known = {name.lower(): name for name in FINDINGS}
    if label == "all":
        return "multilabel", tuple(name.lower().replace("_", " ") for name in FINDINGS), None
    asked = label.lower().replace(" ", "_")
    if asked not in known:
        raise DataError("unknown finding", value=label, allowed=nearest(label, ["all", *known]))
    plain = asked.replace("_", " ")
    return "classify", (f"no {plain}", plain), known[asked]


def _entry(row: Row, finding: str | None) -> tuple[Entry, bool]:
    """The entry of a row, its image's name as source; and whether it names any finding."""
    line, values = row
    labels = [part.strip() for part in values["Finding Labels"].split("|")]
    unknown = [label for label in labels if label not in (*FINDINGS, _NONE)]
    if unknown or (_NONE in labels and len(labels) > 1):
        raise DataError(
            f"line {line} of the table has labels that are not ChestX-ray14's",
            value=values["Finding Labels"],
            allowed=f"{', '.join(FINDINGS)}, or {_NONE} alone",
            next_step="give the table as distributed; for other labels use csv: with ?task=multilabel",
        )
    target = tuple(int(name in labels) for name in FINDINGS) if finding is None else int(finding in labels)
    name = values["Image Index"]
    return Entry(name, target, None, values["Patient ID"] or None, name), labels != [_NONE]


def _official(entries: Sequence[Entry], files: Sequence[Path]) -> list[Entry]:
    """Entries with the split of the lists; without any where there are no lists."""
    lists = {
        "train": table_among(files, r"train_val_list(_NIH)?\.txt", "lists train_val_list"),
        "test": table_among(files, r"test_list(_NIH)?\.txt", "lists test_list"),
    }
    if not any(lists.values()):
        return list(entries)
    home: dict[str, str] = {}
    for split, path in lists.items():
        if path is None:
            raise DataError(
                f"only one of the official lists is there, and that of {split} is not",
                value=str(next(filter(None, lists.values()))),
                allowed="train_val_list.txt and test_list.txt",
                next_step="put both into the folder, or draw splits with ?split=0.6,0.2,0.2",
            )
        for name in path.read_text(encoding="utf-8-sig").split():
            if home.setdefault(name, split) != split:
                raise DataError("an image stands in both official lists", value=name, next_step="load the lists anew")
    lost = [entry.id for entry in entries if entry.id not in home]
    if lost:
        raise DataError(
            f"{len(lost)} images of the table stand in neither official list",
            value=lost[0],
            next_step="load the lists anew, or draw splits with ?split=0.6,0.2,0.2",
        )
    return [replace(entry, split=home[entry.id]) for entry in entries]


def miniature(folder: Path) -> str:
    """Write twelve images of six patients, two with colour channels, with table, boxes and lists; return their spec."""
    homes = (folder / "images_001" / "images", folder / "images_002" / "images")
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    lines = [header + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"]
    findings = ("Pneumothorax", "No Finding", "Effusion|Pneumothorax", "Infiltration", "No Finding", "Hernia|Mass")
    names: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    for number in range(12):
        patient, visit = number // 2 + 1, number % 2
        name = f"{patient:08d}_{visit:03d}.png"
        pixels = (np.arange(32 * 32).reshape(32, 32) // 5 + number).astype(np.uint8)
        image = Image.fromarray(pixels)
        if number in (4, 9):  # some files carry colour and alpha; their grey is the same in each channel
            image = image.convert("RGBA")
        image.save(homes[number % 2] / name)
        age = ("058Y", "411", "61")[number % 3]
        lines.append(f"{name},{findings[number % 6]},{visit},{patient},{age},M,PA,2682,2749,0.143,0.143,")
        names["test_list.txt" if patient > 4 else "train_val_list.txt"].append(name)
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_000.png,Pneumothorax,1,2,3,4,,,\n", encoding="utf-8"
    )
    for listing, content in names.items():
        (folder / listing).write_text("\n".join(content) + "\n", encoding="utf-8")
    return f"chestxray14:{folder}"
