"""Pictures of a study: images before and after attacks, maps of what the model looks at, one change for all."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from percuss.core.budget import parse_budget
from percuss.core.results import Results
from percuss.report import rows as table
from percuss.report.gallery import difference
from percuss.report.heat import heat_pixels, overlay_pixels
from percuss.report.numbers import absolute_text, class_text, percent
from percuss.report.schema import read_results
from percuss.report.sections import Panel
from percuss.store.png import slug

#: Sides of embedded pictures at most, in pixels.
SIDE = 384
_Array = NDArray[Any]
_MAPS = {
    "saliency": ("saliency before", "saliency after"),
    "gradcam": ("Grad-CAM before", "Grad-CAM after"),
    "perturbation": ("edges of the image", "size of the change"),
}


def attacked_panels(name: str, folder: Path, cases: int) -> list[Panel]:
    """Images of an audit before and after: flips from the middle of the order of sizes, of every norm in turn."""
    results = read_results(folder / "results.json")
    outcome, _ = table.load(folder)
    chosen = [middle(table.choose(outcome, norm, results.run_id)) for norm in table.norms(outcome)]
    turns = [shown[turn] for turn in range(cases) for shown in chosen if turn < len(shown)]
    return [_attacked(name, folder, item.row, results) for item in turns[:cases]]


def middle(shown: list[table.Shown]) -> list[table.Shown]:
    """Flips only, of the middle of the order first: the smallest ones are flattering and the largest ones are not.

    Images that were never flipped where there is nothing else.
    """
    order = {"median": 0, "random": 1, "worst": 2, "never": 3, "wrong": 4}
    flips = [item for item in shown if item.row["success_stored"]] or shown
    return sorted(flips, key=lambda item: order[item.why])


def _attacked(name: str, folder: Path, row: dict[str, Any], results: Results) -> Panel:
    data = results.data
    before, after = (opened(folder / file) for file in (_original(row["id"]), str(row["image"])))
    factor, signed = difference(before, after, data)
    size = absolute_text(str(row["norm"]), float(row["eps"]), data)
    said = [
        f"original: {class_text(str(row['clean_prediction']), data)}, {percent(float(row['clean_confidence']))}",
        f"attacked: {class_text(str(row['prediction']), data)}, {percent(float(row['confidence']))}",
        f"difference, times {factor}",
    ]
    shown = (eight(before, data.levels), eight(after, data.levels), signed)
    title = f"{name}: {row['id']}, {row['attack']}, {row['budget']} ({size})"
    true = f"True: {class_text(str(row['label']), data)}. Stored as {row['image']}."
    if not row["success_stored"]:
        true = f"Not flipped at any size. {true}"
    return Panel(title, pictures=tuple(zip(said, map(png_of, shown), strict=True)), lines=(true,))


def map_panels(name: str, folder: Path, cases: int) -> list[Panel]:
    """Maps of explained images before and after their attack; none where nothing was flipped or no map was made."""
    record = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    kinds = list(dict.fromkeys(item["kind"] for item in record["maps"]["drift"]))
    if not kinds:
        return []
    results, norm = read_results(folder / "results.json"), str(record["norm"])
    outcome, _ = table.load(folder)
    kept = outcome[(outcome["norm"] == norm) & (outcome["image"] != "") & outcome["success"].astype(bool)]
    files = kept.drop_duplicates("id").set_index("id")
    found = []
    for case in record["images"][:cases]:
        row = files.loc[case]
        pair = [eight(opened(folder / file), results.data.levels) for file in (_original(case), str(row["image"]))]
        shown = [("original", png_of(pair[0])), ("attacked", png_of(pair[1]))]
        for kind in kinds:
            with np.load(folder / "explain" / kind / norm / f"{slug(case)}.npz") as maps:
                shown += _maps(kind, pair, maps["before"], maps["after"])
        found.append(Panel(f"{name}: {case}, {row['attack']}, {row['budget']}", pictures=tuple(shown)))
    return found


def _maps(kind: str, pair: list[_Array], *maps: _Array) -> list[tuple[str, bytes]]:
    """Maps of the clean and the attacked image, each with its own scale up to its 99.5th percentile."""
    found = []
    for image, values, name in zip(pair, maps, _MAPS[kind], strict=True):
        peak = float(np.quantile(values, 0.995)) or float(values.max())
        light = np.moveaxis(np.atleast_3d(image), 2, 0) / 255
        drawn = overlay_pixels(light, values, peak=peak) if kind == "gradcam" else heat_pixels(values, peak=peak)
        found.append((name, png_of(drawn)))
    return found


def change_panels(name: str, folder: Path) -> list[Panel]:
    """The one change for all images, drawn so that its largest value is black or white."""
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    norm = parse_budget(str(record["options"]["budget"])).norm.value
    lines = [f"Size: {norm} {record['sizes'].get(norm, 0):.4g} in units of [0, 1]."] if norm in record["sizes"] else []
    for item in record["tallies"]:
        if item["name"] == "all" and item["success"]["value"] is not None:
            lines.append(f"{item['split']}: {percent(item['success']['value'], item['success']['n'])} flipped.")
    picture = png_of(opened(folder / "perturbation.png"))
    lines.append("Amplified: grey is no change, black and white the largest.")
    return [Panel(f"{name}: {record['options']['budget']}", pictures=(("change", picture),), lines=(" ".join(lines),))]


def _original(case: str) -> str:
    return f"images/original/{slug(case)}.png"


def opened(path: Path) -> _Array:
    """The pixels of a picture file as they are stored."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.asarray(image)


def eight(pixels: _Array, levels: int) -> _Array:
    """Eight bits for the browser."""
    if pixels.dtype == np.uint8:
        return pixels
    top = levels if int(pixels.max()) <= levels else 65535
    return np.round(pixels.astype(np.float64) * 255 / top).astype(np.uint8)


def png_of(pixels: _Array) -> bytes:
    """A picture as PNG, made smaller where a side is longer than ``SIDE``."""
    image, file = Image.fromarray(pixels), io.BytesIO()
    if max(image.size) > SIDE:
        part = SIDE / max(image.size)
        image = image.resize((round(image.width * part), round(image.height * part)), Image.Resampling.BOX)
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
