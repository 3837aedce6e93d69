"""The files of an explanation: explain.json, explain.html, the plane as a table."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from percuss.core.explained import Landscape, MapCase, Moved
from percuss.evaluate.intervals import Clusters, mean
from percuss.pipeline import environment
from percuss.pipeline.explain_options import ExplainOptions, Found, Plane
from percuss.pipeline.explain_units import DRAWS, intervals_of, pair_of
from percuss.pipeline.parts import Work
from percuss.report.explain import Explanation, sections
from percuss.report.schema import read_results
from percuss.report.sections import write_sections

NAME = "percuss-explain-1"
#: Images shown with their maps.
SHOWN = 6


def write_files(work: Work, wanted: ExplainOptions, found: Found, *, mark: str) -> dict[str, Any]:
    """Write explain.json (with ``mark``), explain.html and explain/plane.csv; returns what explain.json holds."""
    moved = [item for kind, rows in found.maps.items() for item in moved_of(kind, rows, seed=work.plan.seed)]
    audit = read_results(work.folder.path / "results.json")
    grave = sorted({item.id for item in audit.findings if item.severity == "severe"})
    if grave:
        found.notes.insert(0, f"The audit itself is INVALID ({', '.join(grave)}): its flips cannot be trusted.")
    if found.plane is not None:
        work.folder.write("explain/plane.csv", found.plane.table.to_csv(index=False))
    record = {name: _plain(value) for name, value in (_record(work, wanted, found, moved) | {"mark": mark}).items()}
    work.folder.write("explain.json", json.dumps(record, indent=2, allow_nan=False) + "\n")
    page = Explanation(
        norm=found.norm,
        flips=found.flips,
        shown=len(found.some),
        method=wanted.method,
        layer=found.layer,
        moved=moved,
        cases=_cases(work, found),
        plane=None if found.plane is None else (found.plane.groups, found.plane.way, plane_words(found.plane)),
        landscape=found.landscape,
        samples=found.samples,
        notes=found.notes,
        findings=found.findings,
    )
    meta, version = f"run {work.folder.run_id} · {audit.model.spec} · {audit.data.spec}", environment.version()
    write_sections(work.folder.path / "explain.html", sections(page), title="explanation", meta=meta, version=version)
    return record


def _record(work: Work, wanted: ExplainOptions, found: Found, moved: list[Moved]) -> dict[str, Any]:
    return {
        "format": NAME,
        "run_id": work.folder.run_id,
        "percuss_version": environment.version(),
        "norm": found.norm,
        "flips": found.flips,
        "images": [str(name) for name in found.some["id"]],
        "maps": {
            "method": wanted.method,
            "layer": found.layer,
            "noises": DRAWS,
            "drift": [vars(item) | {name: getattr(item, name).model_dump() for name in _SIDES} for item in moved],
        },
        "plane": None if found.plane is None else _plane_record(found.plane),
        "landscape": None if found.landscape is None else _landscape_record(found.landscape, found.samples),
        "notes": found.notes,
        "findings": [vars(item) for item in found.findings],
    }


_SIDES = ("attack", "noise", "difference")


def moved_of(kind: str, rows: pd.DataFrame, *, seed: int) -> list[Moved]:
    """Mean drift of one kind of map under attack and noise, each measure, by bootstrap over patients or images."""
    first = rows[rows["draw"] == 0]
    clusters = Clusters.of([str(group) for group in first["group"]], seed)
    found = []
    for measure, (attack, noise) in intervals_of(rows).items():
        # Only images with both, so that the three means are of the same images.
        both = np.isfinite(attack) & np.isfinite(noise)
        three = [mean(values, clusters, both) for values in (attack, noise, attack - noise)]
        found.append(Moved(kind, measure, *three))
    return found


def plane_words(plane: Plane) -> list[str]:
    """What the plane is made of, in sentences."""
    clean = int((plane.table["kind"] == "clean").sum())
    text = [
        f"Fitted on the {plane.width} features ({plane.layer}) of {clean} clean images alone; the attacked images were "
        "placed in it afterwards and moved nothing. Colours are true classes. Only "
        "nearness means something: axes and distances have no unit."
    ]
    if plane.way is not None:
        end = "ends in a flip" if plane.way_margin[-1] < 0 else "does not end in a flip"
        text.append(
            f"The line is the way of one attack: {len(plane.way) - 1} plain steps (bim) on image {plane.way_id} within "
            f"{plane.way_budget}; it {end}."
        )
    return text


def _plane_record(plane: Plane) -> dict[str, Any]:
    way = {
        "id": plane.way_id,
        "budget": plane.way_budget,
        "places": None if plane.way is None else plane.way.tolist(),
        "margin": plane.way_margin,
    }
    counts = plane.table["kind"].value_counts()
    numbers = {f"n_{kind}": int(counts.get(kind, 0)) for kind in ("clean", "attacked")}
    return {"layer": plane.layer, "width": plane.width, **numbers, "fitted_on": "clean images only", "way": way}


def _landscape_record(found: Landscape, samples: int) -> dict[str, Any]:
    values = {name: getattr(found, name).tolist() for name in ("across", "up", "loss", "path", "path_loss")}
    return {"kind": found.kind, "samples": samples, "shares": list(found.shares), **values}


def _cases(work: Work, found: Found) -> list[MapCase]:
    if not found.maps:
        return []
    some = found.some.iloc[:SHOWN]
    batch, attacked = pair_of(work, some)
    files = {kind: rows[rows["draw"] == 0].set_index("id")["image"] for kind, rows in found.maps.items()}
    cases = []
    for place, row in enumerate(some.to_dict("records")):
        maps = {}
        for kind, names in files.items():
            with np.load(work.folder.path / str(names[row["id"]])) as kept:
                maps[kind] = (kept["before"], kept["after"], kept["noise"])
        title = f"{row['id']}: {row['attack']}, {row['budget']}"
        cases.append(MapCase(str(row["id"]), title, batch.images[place].numpy(), attacked[place].numpy(), maps))
    return cases


def _plain(value: Any) -> Any:
    """The same as plain values of JSON; what is not finite becomes null."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
