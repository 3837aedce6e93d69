"""The pictures of the report: the very PNG files that were judged, and their amplified difference."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from percuss.core.images import DENSE
from percuss.core.results import DataRecord, Results
from percuss.report import masks
from percuss.report import rows as table
from percuss.report.heat_pictures import heat_pictures
from percuss.report.heat_rows import KINDS, choose_heat
from percuss.report.numbers import absolute_text, class_text, percent, visible_text
from percuss.store.png import slug

CASE_LIMIT, BYTE_LIMIT = 24, 12_000_000
_WHY = {
    "worst": "Flipped by the smallest change",
    "median": "Flipped in the middle of the order",
    "random": "Drawn at random among the flipped",
    "never": "Never flipped",
    "wrong": "Below the bar before any attack, largest loss first",
}
_WORST_MAPS = "Flipped by the smallest change, lowest Dice first"
_FATES = ("removed", "hallucinated", "another class")
_Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Picture:
    """One embedded picture: data URI, displayed size in CSS pixels, file name, hash of the file judged, and a note."""

    uri: str
    caption: str
    file: str
    sha256: str
    note: str


@dataclass(frozen=True)
class Shot:
    """One case: original, attacked and difference, with what they show; ``zoom`` is a whole number.

    ``maps`` holds, for class maps, truth, decision before and after, and where these differ; likewise for heat maps.
    """

    why: str
    id: str
    norm: str
    title: str
    lines: list[str]
    pictures: tuple[Picture, Picture, Picture]
    width: int
    height: int
    zoom: int
    maps: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Cases by kind, and a sentence about what was left out or could not be read."""

    kinds: list[tuple[str, list[Shot]]]
    notes: list[str]


def gallery(folder: Path, results: Results, outcome: pd.DataFrame, *, norm: str | None) -> Gallery:
    """Pictures of one norm, at most 24 cases and 12 MB, taken in turn from the four kinds."""
    if norm is None:
        return Gallery([], [])
    scored = results.data.task == "heatmap"
    chosen = (choose_heat if scored else table.choose)(outcome, norm, results.run_id)
    kinds: dict[str, list[Shot]] = {why: [] for why in (KINDS if scored else _WHY)}
    notes: list[str] = []
    used = skipped = 0
    for shown in _in_turn(chosen):
        try:
            shot = _shot(folder, shown, results.data)
        except (OSError, ValueError) as error:
            notes.append(f"The pictures of {shown.row['id']} cannot be shown: {error}")
            continue
        weight = sum(len(picture.uri) for picture in (*shot.pictures, *shot.maps))
        if used + weight > BYTE_LIMIT or sum(map(len, kinds.values())) >= CASE_LIMIT:
            skipped += 1
            continue
        used += weight
        kinds[shown.why].append(shot)
    if skipped:
        notes.append(f"{skipped} more cases were left out to keep this file small; all kept images are in images/.")
    words = _WHY | KINDS | ({"worst": _WORST_MAPS} if results.data.task in DENSE else {})
    return Gallery([(words[why], shots) for why, shots in kinds.items() if shots], notes)


def _in_turn(chosen: list[table.Shown]) -> Iterable[table.Shown]:
    """First of each kind, then second of each: a size limit then cuts all kinds alike."""
    rank: dict[str, int] = {}
    order = []
    for shown in chosen:
        rank[shown.why] = rank.get(shown.why, 0) + 1
        order.append((rank[shown.why], shown))
    return [shown for _, shown in sorted(order, key=lambda item: item[0])]


def _shot(folder: Path, shown: table.Shown, data: DataRecord) -> Shot:
    row = shown.row
    name = slug(str(row["id"]))
    before, after = folder / "images" / "original" / f"{name}.png", folder / str(row["image"])
    clean, clean_bytes = _read(before)
    attacked, attacked_bytes = _read(after)
    if clean.shape != attacked.shape:
        raise ValueError(f"original {clean.shape} and attacked {attacked.shape} differ in size")
    factor, changed_by = difference(clean, attacked, data)
    high, wide = clean.shape[:2]
    changed = float(np.abs(clean.astype(np.int64) - attacked.astype(np.int64)).max())
    unit = "grey levels" if data.unit == "grey level" else data.unit
    if data.window:
        changed = round(changed * (data.window[1] - data.window[0]) / data.levels, 6)
    largest = f"largest change {changed:g} {unit[:-1] if changed == 1 and unit.endswith('s') else unit}"
    pictures = (
        _picture(clean, clean_bytes, before.relative_to(folder).as_posix(), "original", data),
        _picture(attacked, attacked_bytes, str(row["image"]), "attacked, as stored", data),
        Picture(_uri(changed_by), f"difference ×{factor}", "", "", f"grey: no change; {largest}"),
    )
    return Shot(
        why=shown.why,
        id=str(row["id"]),
        norm=str(row["norm"]),
        title=_title(row, data),
        lines=_lines(row, data),
        pictures=pictures,
        width=wide,
        height=high,
        zoom=max(1, min(8, 256 // max(wide, 1))),
        maps=_beside(folder, row, clean, data),
    )


def _beside(folder: Path, row: dict[str, Any], clean: _Array, data: DataRecord) -> tuple[Picture, ...]:
    """The maps that belong to a case: of classes, of scores, or none."""
    if data.task != "heatmap":
        return _maps(folder, row, clean, data) if data.task in DENSE else ()
    found = heat_pictures(folder, str(row["id"]), str(row["norm"]), clean=clean, levels=data.levels)
    return tuple(Picture(_embed(one.png), one.caption, one.file, one.sha256, one.note) for one in found)


def _maps(folder: Path, row: dict[str, Any], clean: _Array, data: DataRecord) -> tuple[Picture, ...]:
    """Truth, decisions and their difference over the unattacked image, which shows the tissue as it is."""
    name, base, found = slug(str(row["id"])), masks.grey(clean, data.levels), []
    kinds = (("truth", "truth"), ("clean", "decided before"), (str(row["norm"]), "decided after, as stored"))
    pictures = []
    for part, caption in kinds:
        path = folder / "maps" / part / f"{name}.png"
        classes, content = _read(path)
        if classes.shape != base.shape:
            raise ValueError(f"map {path.name} is {classes.shape}, its image {base.shape}")
        found.append(classes)
        digest = hashlib.sha256(content).hexdigest()
        note = masks.shares(classes, data.classes)
        pictures.append(
            Picture(_embed(masks.overlay(base, classes)), caption, path.relative_to(folder).as_posix(), digest, note)
        )
    _, before, after = found
    changed = masks.fates(before, after)
    said = [f"{word} {100 * float((changed == place).mean()):.1f} %" for place, word in enumerate(_FATES, 1)]
    picture = Picture(_embed(masks.fate(base, before, after)), "before against after", "", "", ", ".join(said))
    return (*pictures, picture)


def _title(row: dict[str, Any], data: DataRecord) -> str:
    size = absolute_text(str(row["norm"]), float(row["eps"]), data)
    if data.task == "heatmap":
        return f"attacked at {row['budget']} ({visible_text(str(row['norm']), float(row['eps']), data)})"
    if not row["correct"]:
        return f"wrong before; attacked at {row['budget']} ({size})"
    return f"flips at {row['budget']} ({size})" if row["success_stored"] else f"not flipped at {row['budget']} ({size})"


def _lines(row: dict[str, Any], data: DataRecord) -> list[str]:
    before = f"{class_text(str(row['clean_prediction']), data)} ({percent(float(row['clean_confidence']))})"
    after = f"{class_text(str(row['prediction']), data)} ({percent(float(row['confidence']))})"
    if data.task == "heatmap":
        before, after = (
            f"loss {row[loss]:.3f}, Dice of the decided cells {row[dice]:.3f}"
            for loss, dice in (("clean_loss", "clean_dice"), ("loss_stored", "dice_stored"))
        )
        return [f"before: {before}", f"after, as stored: {after}", f"attack: {row['attack']}"]
    if data.task in DENSE:
        before = f"mean Dice {row['clean_dice']:.3f}, mean confidence {percent(float(row['clean_confidence']))}"
        after = f"mean Dice {row['dice_stored']:.3f} as stored"
    return [
        f"true: {class_text(str(row['label']), data)}",
        f"before: {before}",
        f"after: {after}",
        f"attack: {row['attack']}",
    ]


def _read(path: Path) -> tuple[_Array, bytes]:
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image), content


def _picture(pixels: _Array, content: bytes, file: str, caption: str, data: DataRecord) -> Picture:
    digest = hashlib.sha256(content).hexdigest()
    if pixels.dtype == np.uint8:
        return Picture(_embed(content), caption, file, digest, "")
    # Browsers show 8 bits; both pictures of a case are scaled alike, by the declared depth.
    top = data.levels if int(pixels.max()) <= data.levels else 65535
    shown = np.round(pixels.astype(np.float64) * 255 / top).astype(np.uint8)
    return Picture(
        _uri(shown), caption, file, digest, "8-bit rendition for the browser; the hash is of the stored file"
    )


def difference(clean: _Array, attacked: _Array, data: DataRecord) -> tuple[int, _Array]:
    """Signed difference around mid-grey, times the power of two that makes the largest change plainly visible."""
    deep = clean.dtype != np.uint8
    scale = 255 / max(data.levels, 1) if deep else 1.0
    signed = (attacked.astype(np.float64) - clean.astype(np.float64)) * scale
    largest = float(np.abs(signed).max())
    limit = 2**14 if deep else 64
    factor = 1 if largest == 0 else min(limit, max(1, 2 ** math.floor(math.log2(max(127 / largest, 1)))))
    return factor, np.clip(np.round(128 + signed * factor), 0, 255).astype(np.uint8)


def _uri(pixels: _Array) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return _embed(file.getvalue())


def _embed(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
