"""Explanations of a finished audit: maps before and after, a plane of features, the landscape of the loss."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from percuss.attacks.eval_mode import device_of
from percuss.core.errors import ModelError, NoGradientError, RunError, UsageError
from percuss.core.images import ImageSet
from percuss.core.model import Model
from percuss.core.seeds import seed_of
from percuss.pipeline import environment
from percuss.pipeline.again import made_before, mark_of
from percuss.pipeline.explain_files import write_files
from percuss.pipeline.explain_options import MAPS, WHAT, ExplainOptions, Found, check_options
from percuss.pipeline.explain_parts import landscape_part, maps_part, plane_part
from percuss.pipeline.inputs import data_fingerprint, open_images, open_model
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.survive import check_same, plan_of
from percuss.pipeline.tasks import refuse_maps
from percuss.store.folder import RunFolder

_RECORD = "explain.json"


@dataclass(frozen=True)
class Explained:
    """Finished explanations: the run folder, explain.json as plain values, and the page."""

    path: Path
    record: dict[str, Any]

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.path / "explain.html"

    @property
    def words(self) -> list[str]:
        """Notes, and how far the maps move, as lines for a terminal."""
        lines = [str(note) for note in self.record["notes"]]
        for item in self.record["maps"]["drift"]:
            means = [item[side]["value"] for side in ("attack", "noise")]
            one, two = ("–" if value is None else f"{value:.2f}" for value in means)
            lines.append(f"{item['kind']} {item['measure']}: {one} after the attack, {two} under noise of its size")
        return lines


def explain_run(
    run: Path | str,
    *,
    data: ImageSet | str | None = None,
    model: Model | nn.Module | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Explained:
    """Explain the flips of a finished audit; the run gains ``explain.html``, ``explain.json`` and ``explain/``.

    Args:
        run: folder of a finished audit.
        data, model: instead of the plan's, where they were given in Python or have moved; they must be the same.
        progress: told what happens.
        options: of ``ExplainOptions``, and ``weights``, ``allow_code``, ``device``, ``batch_size``, ``threads`` instead
            of the plan's.

    The attacked images are those that the audit kept. What was computed before a stop is not computed again, and the
    same explanations of the same run are read.

    Raises:
        RunError: no finished run, other images or another model. UsageError: an option that makes no sense, captum or
            umap-learn missing. NoGradientError: the model is cut off from its input.
    """
    say, path = progress or Progress(), Path(run)
    own = {name: options.pop(name) for name in ExplainOptions.__dataclass_fields__ if name in options}
    wanted = check_options(ExplainOptions(**own))
    folder = RunFolder.existing(path)
    if not folder.finished or not (path / "rows.parquet").exists():
        raise RunError(
            "the folder holds no finished audit", value=path, next_step="give its percuss audit command again"
        )
    plan = plan_of(folder, data=data, model=model, options=options)
    with environment.threads(plan.threads):
        chosen = open_images(plan, data if isinstance(data, ImageSet) else None)
        refuse_maps(chosen.images, "explain")
        ready = open_model(plan, None if isinstance(model, str) else model, chosen)
        ready = ready.to(environment.pick_device(plan.device))
        check_same(folder, images=data_fingerprint(chosen), model=ready.fingerprint())
        folder = RunFolder.start(path, folder.manifest["identity"])
        try:
            mark = mark_of(folder, vars(wanted) | {"checkpoints": _checkpoints(plan, wanted)})
            if made_before(folder, mark, record=_RECORD, needs=("explain.html", "explain/")):
                say.line(f"explained before; nothing to compute: {path / 'explain.html'}")
                return Explained(path, json.loads((path / _RECORD).read_text(encoding="utf-8")))
            work = Work(plan, chosen, ready, device_of(ready), folder)
            record = write_files(work, wanted, _compute(work, wanted, say), mark=mark)
            folder.finish()
            folder.drop("parts")
        finally:
            folder.close()
    return Explained(path, record)


def _checkpoints(plan: AuditPlan, wanted: ExplainOptions) -> list[tuple[str, int, int]]:
    """Name, size and time of every file that the landscape's way may come from: others make another landscape."""
    folder = wanted.checkpoints or Path(plan.model) / "trajectory"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def _compute(work: Work, wanted: ExplainOptions, say: Progress) -> Found:
    what = wanted.what or WHAT
    flips = _flips(work, wanted.norm)
    some = flips.iloc[: wanted.images]
    found = Found(norm=str(flips["norm"].iloc[0]) if len(flips) else "", flips=len(flips), some=some)
    if not len(flips):
        found.notes.append("No image was flipped, so there are no maps after an attack to set beside those before.")
    for kind in [name for name in what if name in MAPS and len(flips)]:
        try:
            found.maps[kind] = maps_part(work, found, kind, wanted=wanted, say=say)
        except NoGradientError:
            raise
        except ModelError as error:
            if wanted.what is not None or kind == "saliency":
                raise
            found.notes.append(f"Grad-CAM is left out: {error.thing} ({error.value}).")
    if "umap" in what:
        try:
            found.plane = plane_part(work, flips, wanted=wanted, say=say)
        except (ModelError, RunError) as error:
            if wanted.what is not None:
                raise
            found.notes.append(f"The plane of features is left out: {error.thing} ({error.value}).")
    if "landscape" in what:
        found.landscape = landscape_part(work, found, wanted=wanted, say=say)
    return found


def _flips(work: Work, norm: str | None) -> pd.DataFrame:
    """Kept rows of images that flip, of one norm, in an order drawn by the run's seed."""
    rows = work.folder.read_table("rows.parquet")
    kept = rows[(rows["image"] != "") & rows["success"].astype(bool)]
    norms: Sequence[str] = list(dict.fromkeys(str(name) for name in rows["norm"]))
    if norm is not None and norm not in norms:
        raise UsageError("the run did not try the norm", value=norm, allowed=", ".join(norms))
    with_flips = [name for name in norms if (kept["norm"] == name).any()]
    chosen = norm or (with_flips[0] if with_flips else "")
    kept = kept[kept["norm"] == chosen]
    order = sorted(range(len(kept)), key=lambda place: seed_of(work.plan.seed, "explain", kept["id"].iloc[place]))
    return kept.iloc[order].reset_index(drop=True)
