"""The files of whole-slide heat maps: pyramids, pictures over the thumbnail, the numbers, the page."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.special import expit

from percuss.core.outcome import Finding
from percuss.data.slides.tissue import thumbnail
from percuss.data.slides.write import Raster, write_pyramid
from percuss.evaluate.froc import SlideHits, froc
from percuss.evaluate.heat_histogram import HeatHistogram
from percuss.evaluate.slide_map import SlideMap
from percuss.pipeline import environment
from percuss.pipeline.heatmap_grid import stitched
from percuss.pipeline.heatmap_tiles import CLEAN, SlideTiles, Strike
from percuss.pipeline.plain_values import as_plain
from percuss.report.heat import overlay_pixels
from percuss.report.sections import write_sections
from percuss.report.slide_map import sections
from percuss.store.folder import RunFolder, now
from percuss.store.png import slug

NAME = "percuss-heatmap-1"
#: Longer side of the pictures in pixels.
PICTURE = 1024
#: The same in the page.
SHOWN = 480
_LINE = (0, 150, 255)


@dataclass(frozen=True)
class Written:
    """One map as written: what results.json says of it, its counts, and how CAMELYON16 would judge it."""

    record: dict[str, Any]
    counts: HeatHistogram
    hits: SlideHits | None


def write_maps(work: SlideTiles, depth: int) -> list[Written]:
    """Write the map and the picture of a slide as it is and under every attack; the numbers of each."""
    small = thumbnail(work.view, PICTURE)
    return [_write_map(work, strike, small, depth) for strike in work.strikes]


def _write_map(work: SlideTiles, strike: Strike, small: NDArray[np.uint8], depth: int) -> Written:
    grid, folder, home = work.grid, work.folder, slug(work.name)
    assert work.view.mpp is not None
    um = grid.cell * work.view.mpp
    counts = SlideMap(*grid.shape)
    raster = Raster(*grid.shape, 1, "uint8" if depth == 8 else "float32", um)
    write_pyramid(folder.path / home / f"{strike.name}.tif", _bands(work, strike, counts, depth), raster)
    folder.write(f"{home}/{strike.name}.png", _picture(work, small, counts))
    sizes = work.sizes(strike) if strike.budget else []
    record = {
        "attack": strike.attack or CLEAN,
        "norm": strike.budget.norm.value if strike.budget else "none",
        "budget": strike.budget.text if strike.budget else "",
        "map": f"{home}/{strike.name}.tif",
        "picture": f"{home}/{strike.name}.png",
        **counts.numbers(),
        "largest_change": max(sizes, default=None),
        "components": [vars(item) for item in counts.components(um)],
        "reduced_um": um * counts.reduced.factor,
    }
    complete = work.truth is not None and not work.truth.job.partial
    return Written(record, counts.histogram, counts.hits(work.name, um) if complete else None)


def _bands(work: SlideTiles, strike: Strike, counts: SlideMap, depth: int) -> Iterator[NDArray[Any]]:
    """The map's rows as probabilities, 0 to 255 (0 too where nothing was judged) or float32 (NaN there)."""
    top = 0
    for band in stitched(work.grid, work.rows(strike)):
        truth = None
        if work.truth is not None:
            truth = work.truth.band(work.view, top, (band.shape[0], band.shape[1]))
        counts.add(band, truth)
        top += len(band)
        share = expit(band)
        yield share if depth == 32 else np.round(np.nan_to_num(share) * 255).astype(np.uint8)


def _picture(work: SlideTiles, small: NDArray[np.uint8], counts: SlideMap) -> bytes:
    """The map over the grey thumbnail, with the outlines of what is known to be tumour."""
    values = np.nan_to_num(counts.reduced.map())
    step = work.grid.cell * counts.reduced.factor
    rows, columns = (
        np.minimum(((np.arange(count) + 0.5) * whole / count / step).astype(int), most - 1)
        for count, whole, most in zip(small.shape[:2], (work.grid.height, work.grid.width), values.shape, strict=True)
    )
    drawn = overlay_pixels(small.transpose(2, 0, 1) / 255, values[np.ix_(rows, columns)], peak=1.0)
    image = Image.fromarray(drawn)
    outlines = None if work.truth is None else work.truth.outlines
    if outlines is not None:
        scale = work.view.scale * work.grid.width / small.shape[1]
        pen = ImageDraw.Draw(image)
        for line in (outlines.edges / scale).tolist():
            pen.line(line, fill=_LINE, width=2)
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True)
    return content.getvalue()


def pooled(written: Sequence[Sequence[Written]], seed: int) -> list[dict[str, Any]]:
    """For every attack and size the numbers of all slides together: AUC-PR, and FROC where two slides or more allow."""
    found = []
    for maps in zip(*written, strict=True):
        counts = HeatHistogram.empty()
        for item in maps:
            counts = counts.merge(item.counts)
        hits = [item.hits for item in maps if item.hits is not None]
        record = {key: maps[0].record[key] for key in ("attack", "norm", "budget")}
        record |= {"auc_pr": counts.auc_pr(), "prevalence": counts.prevalence(), "judged_cells": counts.cells}
        record |= {"slides": len(maps), "froc": _froc(hits, seed)}
        found.append(record)
    return found


def _froc(hits: Sequence[SlideHits], seed: int) -> dict[str, Any] | None:
    if len(hits) < 2:
        return None
    told = froc(hits, seed=seed)
    at = {f"{rate:g}": as_plain(value) for rate, value in told.at.items()}
    return {
        "slides": len(hits),
        "lesions": told.lesions,
        "score": as_plain(told.score),
        "slide_auc": as_plain(told.auc),
        "sensitivity_at": at,
    }


def write_results(folder: RunFolder, record: dict[str, Any], findings: Sequence[Finding]) -> None:
    """results.json and heatmap.html; marks the run finished."""
    whole = {
        "kind": NAME,
        "percuss_version": environment.version(),
        "run_id": folder.run_id,
        "started": folder.manifest["started"],
        **record,
        "findings": [vars(item) for item in findings],
    }
    folder.write("results.json", json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    pictures = {
        item["picture"]: _smaller((folder.path / item["picture"]).read_bytes())
        for slide in record["slides"]
        for item in slide["maps"]
    }
    write_sections(
        folder.path / "heatmap.html",
        sections(record, findings=findings, pictures=pictures),
        title="heat maps of slides",
        meta=f"{now()[:10]} · run {folder.run_id[:12]}",
        version=environment.version(),
    )
    folder.finish()
    folder.drop("parts")


def _smaller(png: bytes) -> bytes:
    """A picture for the page, which holds several of them."""
    image, content = Image.open(io.BytesIO(png)), io.BytesIO()
    image.thumbnail((SHOWN, SHOWN))
    image.save(content, format="PNG", optimize=True)
    return content.getvalue()
