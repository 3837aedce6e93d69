"""What a call for heat maps of slides asks for, checked, and what the model's own training says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from percuss.core.errors import ModelError, UsageError, nearest
from percuss.core.model import Model
from percuss.models.spec import load_model
from percuss.pipeline.heatmap_grid import check_tiling
from percuss.pipeline.plan import AuditPlan, make_plan
from percuss.pipeline.tile_plan import TilePlan, check_plan

#: Options that do not decide the maps.
PLAIN = ("batch_size", "device", "threads", "reader")


@dataclass(frozen=True)
class HeatmapOptions:
    """What beside model and slides decides the maps.

    Attributes:
        mpp: micrometres per pixel that the model looks at; None for what its training recorded.
        slide_mpp: micrometres per pixel of the slides' largest level, where their files do not say.
        size: side of a tile in pixels; None for the model's own.
        overlap: of neighbouring tiles in pixels; None for a quarter of a tile, or none with attacks.
        tissue: ``otsu``, ``paper`` or ``all``. min_tissue: share of tissue from which ``otsu`` keeps
            a tile.
        annotations: files or folders of outlines and masks. normal, not_exhaustive: names or patterns of slides without
            tumour, and of those not outlined everywhere. groups, values, mend: of annotations, as ``percuss tile``
            has them.
        attacks, budgets, steps: of the attacks; none of them for the slides as they are.
        depth: 8 or 32 bits of a cell in the TIFF.
        keep_tiles: write the attacked tiles as PNG.
    """

    mpp: float | None = None
    slide_mpp: float | None = None
    size: int | None = None
    overlap: int | None = None
    tissue: str = "otsu"
    min_tissue: float = 0.1
    annotations: tuple[str | Path, ...] = ()
    normal: tuple[str, ...] = ()
    not_exhaustive: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    values: str | None = None
    mend: bool = False
    attacks: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    steps: int | None = None
    depth: int = 8
    keep_tiles: bool = False
    seed: int = 0


def heatmap_options(given: dict[str, Any]) -> HeatmapOptions:
    """Options by name, None for the default; UsageError for an unknown one or an unknown value."""
    known = HeatmapOptions.__dataclass_fields__
    for name in given:
        if name not in known:
            raise UsageError("unknown option", value=name, allowed=nearest(name, [*known, *PLAIN]))
    lists = [name for name, item in known.items() if isinstance(item.default, tuple)]
    several = {name: _several(given[name]) for name in lists if given.get(name) is not None}
    found = HeatmapOptions(**{name: value for name, value in given.items() if value is not None} | several)
    if found.depth not in (8, 32):
        raise UsageError("unknown depth of a map", value=found.depth, allowed="8 or 32 bits")
    return found


def attack_plan(told: HeatmapOptions, batch_size: int) -> AuditPlan | None:
    """The attacks as an audit plans them; None without attacks."""
    if bool(told.attacks) != bool(told.budgets):
        raise UsageError(
            "attacks and budgets belong together",
            value=f"{', '.join(told.attacks) or 'no attack'}; {', '.join(told.budgets) or 'no budget'}",
            next_step="give both, for instance --attack pgd --budget l2=25",
        )
    if not told.attacks:
        return None
    return make_plan(
        data="slides",
        model="heatmap",
        attacks=list(told.attacks),
        budgets=list(told.budgets),
        steps=told.steps,
        seed=told.seed,
        batch_size=batch_size,
    )


def heatmap_model(model: str | Path | Model | nn.Module, rest: dict[str, Any]) -> Model:
    """The model, loaded with ``weights`` and ``allow_code`` of ``rest``; ModelError unless it maps colour tiles."""
    if isinstance(model, Model):
        ready = model
    else:
        named = {name: rest[name] for name in ("weights", "allow_code") if rest.get(name) is not None}
        folder = not isinstance(model, nn.Module) and Path(model).is_dir()
        more = {} if folder else {"task": "heatmap", "classes": ("normal", "tumour")}
        ready = load_model(str(model) if isinstance(model, Path) else model, **more, **named)
    if ready.task != "heatmap":
        raise ModelError(
            "heat maps of slides need a model of the task heatmap",
            value=ready.task,
            next_step="train one: percuss train --data tiled:DIR --model percuss:sparse_detector --out MODEL",
        )
    if ready.info.channels != 3:
        raise ModelError("slides are in colour, the model takes grey images", value=f"{ready.info.channels} channel")
    return ready


def trained_on(model: str | Path | Model | nn.Module) -> dict[str, Any]:
    """Side and resolution of the tiles a model folder was trained on, as far as its training recorded them."""
    if isinstance(model, Model | nn.Module) or not (Path(model) / "training.json").is_file():
        return {}
    try:
        record = json.loads((Path(model) / "training.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError("the model's training.json cannot be read", value=model) from error
    found: dict[str, Any] = record.get("tiles") or {}
    return found


def settle(told: HeatmapOptions, model: Model, trained: dict[str, Any]) -> HeatmapOptions:
    """The options with what the model knows filled in; UsageError where nobody says."""
    own = model.info.size[0] if model.info.size is not None else trained.get("size")
    mpp = float(_said("mpp", told.mpp or trained.get("mpp"), ("resolution", "1.0")))
    size = int(_said("size", told.size or own, ("size of tiles", "512")))
    if model.info.size is not None and (size, size) != model.info.size:
        raise UsageError("the model takes tiles of its own size only", value=f"--size {size}", allowed=str(own))
    cell = model.info.cell
    usual = 0 if told.attacks else size // 4 // cell * cell
    overlap = usual if told.overlap is None else told.overlap
    check_tiling(size, overlap, cell)
    return replace(told, mpp=mpp, size=size, overlap=overlap)


def _said(name: str, value: float | None, words: tuple[str, str]) -> float:
    if value is None:
        raise UsageError(
            f"nothing says at which {words[0]} the model works",
            next_step=f"give --{name}, for instance --{name} {words[1]}",
        )
    return value


def _several(value: Any) -> tuple[Any, ...]:
    """One text or path as a tuple; a list of them as one."""
    return (value,) if isinstance(value, str | Path) else tuple(value)


def tile_plan(told: HeatmapOptions, cell: int, reader: str) -> TilePlan:
    """How tiles and their truth come from a slide, with settled options; UsageError for settings without meaning."""
    assert told.mpp is not None and told.size is not None and told.overlap is not None
    plan = TilePlan(
        told.mpp,
        told.size,
        stride=told.size - told.overlap,
        cell=cell,
        tissue=told.tissue,
        min_tissue=told.min_tissue if told.tissue == "otsu" else None,
        edges="pad",
        slide_mpp=told.slide_mpp,
        reader=reader,
        groups=told.groups,
        mend=told.mend,
        values=told.values,
    )
    check_plan(plan)
    return plan
