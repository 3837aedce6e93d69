"""The three parts of an explanation, each from pieces that are computed once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from percuss.core.errors import AttackError, RunError, UsageError
from percuss.core.explained import Landscape
from percuss.core.outcome import Finding
from percuss.explain.embedding import LEAST, fit_embedding
from percuss.explain.features import features
from percuss.explain.landscape import Plane as WeightPlane
from percuss.explain.landscape import landscape, random_plane, trajectory_plane
from percuss.explain.layers import classifier_layer, last_spatial_layer
from percuss.explain.saliency import METHODS
from percuss.models.weights import read_weights
from percuss.pipeline.explain_options import ExplainOptions, Found, Plane
from percuss.pipeline.explain_units import PIECE, MapOptions, attack_way, feature_rows, map_rows, numbers_row
from percuss.pipeline.inputs import read_chunk
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import CHUNK
from percuss.pipeline.progress import Progress
from percuss.report.plane import groups_of

#: Clean images at most in the plane of features.
MOST = 2000


def maps_part(work: Work, found: Found, kind: str, *, wanted: ExplainOptions, say: Progress) -> pd.DataFrame:
    """Drift of the maps of the drawn flips, one row per image and draw (``explain_units.map_rows``)."""
    method = next(name for name in METHODS if name == wanted.method)
    layer = None
    if kind == "gradcam":
        first = read_chunk(work.chosen, [str(found.some["id"].iloc[0])]).images[0]
        layer = found.layer = wanted.layer or last_spatial_layer(work.model, first)
    options = MapOptions(kind, method if kind == "saliency" else "gradient", layer)
    starts = range(0, len(found.some), PIECE)
    say.start(kind, len(starts))
    tables = []
    for start in starts:
        tables.append(map_rows(work, found.some.iloc[start : start + PIECE], options))
        say.advance()
    say.stop()
    return pd.concat(tables, ignore_index=True)


def plane_part(work: Work, flips: pd.DataFrame, *, wanted: ExplainOptions, say: Progress) -> Plane:
    """The plane fitted on the run's clean images, its attacked ones placed in it, and the way of one attack."""
    ids, layer = list(work.chosen.ids), wanted.features
    if len(ids) > MOST:
        drawn = set(work.chosen.images.spread(MOST))
        ids = [name for name in ids if name in drawn]
    parts = [ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK)]
    say.start("features", len(parts) + -(-len(flips) // CHUNK))
    clean, attacked = [], []
    for part in parts:
        clean.append(feature_rows(work, part, layer))
        say.advance()
    for start in range(0, len(flips), CHUNK):
        kept = flips.iloc[start : start + CHUNK]
        attacked.append(feature_rows(work, [], layer, kept=kept))
        say.advance()
    say.stop()
    names, moved = (np.concatenate([part["id"] for part in many] or [np.zeros(0, str)]) for many in (clean, attacked))
    values = np.concatenate([part["values"] for part in clean if len(part["id"])])
    if len(values) < LEAST:
        raise RunError("too few clean images for a plane of features", value=len(values), allowed=f"{LEAST} or more")
    say.line(f"a plane of {values.shape[1]} features, fitted on {len(values)} clean images")
    fitted = fit_embedding(values, seed=work.plan.seed)
    others = np.concatenate([part["values"] for part in attacked] or [np.zeros((0, values.shape[1]), np.float32)])
    table = pd.concat(
        [_points(names, fitted.clean, "clean"), _points(moved, fitted.place(others), "attacked")], ignore_index=True
    )
    name = layer or f"input of {classifier_layer(work.model, read_chunk(work.chosen, ids[:1]).images[0])}"
    classes = work.model.classes if work.model.task == "classify" else None
    groups = groups_of(table, work.folder.read_table("clean.parquet"), classes)
    plane = Plane(groups, table, int(values.shape[1]), name)
    _add_way(work, plane, flips, lambda way: fitted.place(features(work.model, way, layer=layer).numpy()))
    return plane


def _points(names: np.ndarray[tuple[int], np.dtype[np.str_]], places: object, kind: str) -> pd.DataFrame:
    both = np.asarray(places, dtype=float)
    return pd.DataFrame({"id": names.astype(str), "kind": kind, "x": both[:, 0], "y": both[:, 1]})


def _add_way(work: Work, plane: Plane, flips: pd.DataFrame, place: Callable[[Tensor], object]) -> None:
    """The way of the first of a few flips that plain steps flip too; the last tried where none does."""
    for _, row in flips.iloc[:5].iterrows():
        try:
            way, margin = attack_way(work, row)
        except AttackError:
            continue
        plane.way, plane.way_margin = np.asarray(place(way), dtype=float), margin
        plane.way_id, plane.way_budget = str(row["id"]), str(row["budget"])
        if margin[-1] < 0:
            return


def landscape_part(work: Work, found: Found, *, wanted: ExplainOptions, say: Progress) -> Landscape:
    """The loss on clean images along the weights' way where it is kept, else along random directions."""
    folder = wanted.checkpoints or _kept_way(work)
    plane = trajectory_plane(work.model, _states(work, folder)) if folder else random_plane(work.model, work.plan.seed)
    if folder is None:
        text = (
            "The weights' way was not kept, so the landscape lies along two random directions and shows no training. "
            "percuss train --keep-weights keeps it."
        )
        found.findings.append(Finding("no-trajectory", "info", text, {}))
    ids = work.chosen.ids if len(work.chosen.ids) <= wanted.samples else work.chosen.images.spread(wanted.samples)
    batch = read_chunk(work.chosen, [name for name in work.chosen.ids if name in set(ids)])
    found.samples = len(batch.ids)
    say.start("landscape", wanted.points + bool(len(plane.path)))
    what = {"plane": _hash(plane), "points": wanted.points}

    def row(number: int, compute: Callable[[], list[float]]) -> list[float]:
        values = numbers_row(work, work.key("landscape", batch.ids, row=number, **what), compute)
        say.advance()
        return values

    made = landscape(work.model, batch.images, batch.targets, plane=plane, points=wanted.points, row=row)
    say.stop()
    return made


def _hash(plane: WeightPlane) -> str:
    digest = hashlib.sha256(plane.first.numpy().tobytes() + plane.second.numpy().tobytes())
    digest.update(plane.path.numpy().tobytes())
    return digest.hexdigest()


def _kept_way(work: Work) -> Path | None:
    """The folder ``trajectory`` of the model folder, where the model came from one and it holds states."""
    folder = Path(work.plan.model) / "trajectory"
    return folder if folder.is_dir() and any(folder.iterdir()) else None


def _states(work: Work, folder: Path) -> list[dict[str, Tensor]]:
    """Parameters of each checkpoint, in order of the numbers in their names; the model's own name may be prefixed."""
    files = (
        [path for path in folder.iterdir() if path.suffix in (".safetensors", ".pt", ".pth")] if folder.is_dir() else []
    )
    if not files:
        raise UsageError("there are no checkpoints", value=folder, allowed="a folder of .safetensors or .pt files")
    order = sorted(
        files, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
    )
    own = {name for name, _ in work.model.network.named_parameters()}
    found = []
    for path in order:
        state = {name.removeprefix("network."): value for name, value in read_weights(path).items()}
        found.append({name: value for name, value in state.items() if name in own})
    return found
