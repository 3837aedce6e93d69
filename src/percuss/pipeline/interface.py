"""percuss.audit: the audit for programs and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from percuss.core.images import ImageSet
from percuss.core.model import Model
from percuss.pipeline.audit import run_audit
from percuss.pipeline.plan import make_plan
from percuss.pipeline.progress import Progress
from percuss.pipeline.run import Run


def audit(
    *,
    data: str | ImageSet,
    model: str | Model | nn.Module,
    out: Path | str,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Audit a model and give the finished run.

    Args:
        data: a spec, or a set of ``load_data``.
        model: a spec, a model of ``load_model``, or any ``nn.Module`` from images in [0, 1] to logits.
        out: run folder; one of the same run is continued.
        progress: told what happens; silent where None.
        options: as of ``percuss audit``: ``attacks``, ``budgets``, ``curve``, ``effort``, ``split``, ``limit``,
            ``seed``, ``batch_size``, ``steps``, ``restarts``, ``confidence``, ``settings`` (keyword arguments per
            attack), ``weights``, ``device``, ``threads``, ``protocol``, ``require`` and so on
            (``percuss.pipeline.plan.AuditPlan``).

    Raises:
        PercussError: wrong input or options, a folder of another run, a model that cannot be judged.
    """
    if isinstance(data, ImageSet):
        # A set that was opened by hand has its split chosen already.
        options.setdefault("split", "all")
    spec = data if isinstance(data, str) else data.spec
    named = model if isinstance(model, str) else model.info.spec if isinstance(model, Model) else "module"
    plan = make_plan(data=spec, model=named, **options)
    given = {"data": spec, "out": str(out)} | {key: value for key, value in options.items() if value is not None}
    network = "NETWORK" if named == "module" else repr(named)
    words = ", ".join(f"{key}={value!r}" for key, value in given.items())
    return run_audit(
        plan,
        data=None if isinstance(data, str) else data,
        model=None if isinstance(model, str) else model,
        out=Path(out),
        progress=progress,
        command=f"percuss.audit(model={network}, {words})",
    )
