"""Figures of a study, drawn from the folders of its steps, and their files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from percuss.core.errors import RunError
from percuss.core.explained import Landscape
from percuss.core.recipe import FigureKind, FigureRecord, FigureSpec
from percuss.core.triage import triage_from
from percuss.report.contours import landscape_chart
from percuss.report.plane import groups_of, plane_chart
from percuss.report.schema import read_results
from percuss.report.sections import Panel, Section
from percuss.report.study_curves import Ground, curve_panels
from percuss.report.study_heat import code_panels, heat_panels
from percuss.report.study_learning import learning_panels
from percuss.report.study_masks import mask_panels
from percuss.report.study_matrix import matrix_panels
from percuss.report.study_pictures import attacked_panels, change_panels, map_panels
from percuss.report.triage import risk_chart

#: Bytes of pictures in one page at most; what lies beyond stays in files.
BYTES = 8_000_000
_CELL, _HEAD, _GAP = 224, 40, 10
_LIGHT = (Path(__file__).parent / "figure.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Figure:
    """A figure as drawn, ready for the page."""

    record: FigureRecord
    panels: tuple[Panel, ...]


def draw(spec: FigureSpec, ground: Ground) -> list[Panel]:
    """The panels of a figure on one data set; RunError where there is nothing to draw, with the reason."""
    try:
        panels = _together(spec, ground) if spec.kind in ("curve", "learning") else _each(spec, ground)
    except (OSError, ValueError, KeyError) as error:
        raise RunError("the figure cannot be drawn", value=f"{type(error).__name__}: {error}") from error
    if not panels:
        raise RunError("the figure has nothing to show", value="no image was flipped, or the step made no such part")
    return panels


def _together(spec: FigureSpec, ground: Ground) -> list[Panel]:
    """Panels with a line for each step."""
    if spec.kind == "curve":
        return curve_panels(spec, ground)
    return learning_panels(ground.steps, title="" if ground.alone else ground.data)


def _each(spec: FigureSpec, ground: Ground) -> list[Panel]:
    found = []
    for name, folder in ground.steps:
        title = name if ground.alone else f"{ground.data}, {name}"
        found += _PANELS[spec.kind](title, folder, spec.cases)
    return found


def _plane(name: str, folder: Path, _cases: int) -> list[Panel]:
    record = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    if record["plane"] is None:
        return []
    table = pd.read_csv(folder / "explain" / "plane.csv", dtype={"id": str})
    data, clean = read_results(folder / "results.json").data, pd.read_parquet(folder / "clean.parquet")
    groups = groups_of(table, clean, data.classes if data.task == "classify" else None)
    places = record["plane"]["way"]["places"]
    way = None if places is None else np.array(places, dtype=float)
    return [Panel(name, plane_chart(groups, way=way, label="Features of clean and attacked images in a plane"))]


def _landscape(name: str, folder: Path, _cases: int) -> list[Panel]:
    found = json.loads((folder / "explain.json").read_text(encoding="utf-8"))["landscape"]
    if found is None:
        return []
    arrays = {key: np.array(found[key], dtype=float) for key in ("across", "up", "loss", "path", "path_loss")}
    made = Landscape(kind=found["kind"], **arrays, shares=tuple(found["shares"]))
    return [Panel(name, landscape_chart(made, label="Loss on a plane through the weights of the model"))]


def _risk(name: str, folder: Path, _cases: int) -> list[Panel]:
    found = triage_from(json.loads((folder / "triage.json").read_text(encoding="utf-8")))
    return [Panel(name, risk_chart(found))]


_PANELS: dict[FigureKind, Callable[[str, Path, int], list[Panel]]] = {
    "pictures": attacked_panels,
    "maps": map_panels,
    "change": lambda name, folder, _cases: change_panels(name, folder),
    "plane": _plane,
    "landscape": _landscape,
    "risk": _risk,
    "masks": mask_panels,
    "heat": heat_panels,
    "dictionary": code_panels,
    "matrix": matrix_panels,
}


def files_of(panels: Sequence[Panel]) -> list[tuple[str, bytes]]:
    """The files of panels, each with the end of its name: a chart as SVG, rows of pictures as one PNG."""
    charts = [standalone(panel.chart) for panel in panels if panel.chart is not None]
    ends = [".svg"] if len(charts) == 1 else [f"-{number}.svg" for number in range(1, len(charts) + 1)]
    rows = [panel for panel in panels if panel.pictures]
    return [*zip(ends, charts, strict=True), *([(".png", sheet(rows))] if rows else [])]


def standalone(chart: str) -> bytes:
    """A chart of a page as an SVG file of its own, dark on white."""
    box = re.search(r'viewBox="0 0 (\d+) (\d+)"', chart)
    size = f'width="{box[1]}" height="{box[2]}" ' if box else ""
    body = re.sub(r' style="max-width:[^"]*"', "", str(chart), count=1)
    body = body.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" {size}', 1)
    head, sign, rest = body.partition(">")
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f"{head}{sign}<style>{_LIGHT}</style>{ground}{rest}\n".encode()


def sheet(panels: Sequence[Panel]) -> bytes:
    """Rows of pictures with their captions as one PNG, dark on white."""
    columns, font = max(len(panel.pictures) for panel in panels), ImageFont.load_default(13)
    high = sum(_HEAD + _tall(panel) + 2 * _GAP for panel in panels)
    own = [Image.open(io.BytesIO(png)).width for panel in panels if panel.wide for _, png in panel.pictures]
    made = Image.new("RGB", (max([columns * (_CELL + _GAP), *(side + _GAP for side in own)]) + _GAP, high), "white")
    pen, top = ImageDraw.Draw(made), 0
    for panel in panels:
        pen.text((_GAP, top + 4), panel.title, fill="#1b1f24", font=font)
        for column, (caption, png) in enumerate(panel.pictures):
            left, shown = _GAP + column * (_CELL + _GAP), caption[: 120 if panel.wide else 38]
            pen.text((left, top + 21), shown, fill="#58616b", font=ImageFont.load_default(11))
            made.paste(_cell(png, wide=panel.wide), (left, top + _HEAD))
        top += _HEAD + _tall(panel) + 2 * _GAP
    file = io.BytesIO()
    made.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _cell(png: bytes, *, wide: bool) -> Image.Image:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if wide:
        return image
    part = _CELL / image.width
    way = Image.Resampling.NEAREST if part > 1 else Image.Resampling.BOX
    return image.resize((_CELL, max(1, round(image.height * part))), way)


def _tall(panel: Panel) -> int:
    return max(_cell(png, wide=panel.wide).height for _, png in panel.pictures)


def figure_sections(figures: Sequence[Figure], limit: int = BYTES) -> list[Section]:
    """A section for each figure; pictures beyond ``limit`` bytes stay out of the page and are said to."""
    found, used = [], 0
    for figure in figures:
        record, kept, left = figure.record, [], 0
        for panel in figure.panels:
            weight = sum(len(png) for _, png in panel.pictures)
            if used + weight > limit:
                left += 1
                continue
            used += weight
            kept.append(panel)
        text = [record.caption] if record.caption else []
        text += [f"The paper's figure: {record.paper}"] if record.paper else []
        text += [f"Not drawn{f' for {name}' if name else ''}: {why}" for name, why in record.missing.items()]
        if left:
            text.append(f"{left} rows of pictures were left out to keep this file small: {', '.join(record.files)}.")
        found.append(Section(record.title, tuple(text), panels=tuple(kept)))
    return found
