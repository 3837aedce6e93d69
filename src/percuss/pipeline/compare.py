"""Finished audits set against each other: the same images by hash, paired differences, one picture, one page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from percuss.core.comparison import CLEAN, Contrast, HeatContrast, MaskContrast, Pooled, Standing
from percuss.core.errors import UsageError
from percuss.core.images import DENSE
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.evaluate.comparison import Side, compare_sides
from percuss.evaluate.dense_comparison import compare_masks
from percuss.evaluate.heat_comparison import compare_heat
from percuss.evaluate.pooled import pool_sides
from percuss.pipeline import environment
from percuss.pipeline.finished import (
    Finished,
    names_of,
    open_finished,
    same_kind,
    shared_images,
    shared_sizes,
    sides,
)
from percuss.pipeline.masks import TABLE
from percuss.pipeline.plain_values import as_plain
from percuss.report.comparison import (
    heat_section,
    heat_table,
    mask_section,
    mask_table,
    points,
    sections,
    worst_table,
)
from percuss.report.pooled import pooled_section, pooled_table, pooled_words
from percuss.report.sections import Table, write_sections
from percuss.store.folder import RunFolder, now

NAME = "percuss-compare-1"


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        names: of the runs, in the order given; ``paths`` where they are.
        n_images: images that all of them judged, by hash.
        left_out: images of each run that not all of them judged (only with ``shared``).
        standing: each run at each shared attack and size; ``contrasts`` each pair of runs there.
        pooled: where asked for, the first half of the runs against the second, over their seeds.
        findings: what a reader must know before believing a difference.
        masks: of class maps, each pair of runs by the mean Dice; not with ``pooled``.
        heat: of heat maps, each pair of runs by the AUC-PR; not with ``pooled``.
    """

    names: tuple[str, ...]
    paths: tuple[str, ...]
    n_images: int
    left_out: tuple[int, ...]
    standing: tuple[Standing, ...]
    contrasts: tuple[Contrast, ...]
    findings: tuple[Finding, ...]
    pooled: tuple[Pooled, ...] = ()
    masks: tuple[MaskContrast, ...] = ()
    heat: tuple[HeatContrast, ...] = ()

    @property
    def table(self) -> Table:
        """The worst case of every pair at every size, as text cells."""
        return pooled_table(self.pooled) if self.pooled else worst_table(self.contrasts, self.standing)

    @property
    def mask_table(self) -> Table | None:
        """Of class maps the mean Dice without attack and of the worst masks, as stored; None for other tasks."""
        chosen = [item for item in self.masks if item.attack == CLEAN or (item.attack == "worst" and item.stored)]
        return mask_table(chosen) if chosen else None

    @property
    def heat_table(self) -> Table | None:
        """Of heat maps the AUC-PR without attack and in the worst case, as stored; None for other tasks."""
        chosen = [item for item in self.heat if item.attack == CLEAN or (item.attack == "worst" and item.stored)]
        return heat_table(chosen) if chosen else None

    @property
    def sentences(self) -> list[str]:
        """What was compared, and the largest difference that its interval holds above or below zero."""
        said = [
            f"{', '.join(self.names[:-1])} and {self.names[-1]} on the same {self.n_images} images (id, pixels and "
            "label agree)."
        ]
        if self.pooled:
            return [*said, *pooled_words(self.pooled)]
        worst = [item for item in self.heat or self.contrasts if item.attack == "worst"]
        sure = [item for item in worst if item.stored == bool(self.heat) and _away_from_zero(item.difference)]
        if not sure:
            return [*said, "At no size does the interval of the difference in the worst case leave zero out."]
        most = max(sure, key=lambda item: abs(item.difference.value or 0.0))
        of = " of AUC-PR, as stored" if self.heat else ""
        return [
            *said,
            f"Largest difference{of} in the worst case: within {most.budget} {most.first} minus {most.second} is "
            f"{points(most.difference)} points.",
        ]

    def record(self) -> dict[str, Any]:
        """Plain values, as in results.json."""
        found = asdict(self)
        for kind in ("standing", "contrasts", "pooled", "masks", "heat"):
            found[kind] = [as_plain(vars(item)) for item in getattr(self, kind)]
        return {"kind": NAME, "percuss_version": environment.version(), **found}


def compare(
    runs: Sequence[Path | str],
    *,
    out: Path | str | None = None,
    shared: bool = False,
    pooled: bool = False,
    seed: int = 0,
) -> Comparison:
    """Set finished audits against each other on the images that all of them judged.

    Args:
        runs: two or more folders of ``percuss audit``; each pair is compared, the difference is first minus second.
        out: folder for compare.html and results.json; nothing is written where None.
        shared: leave out images and budgets that not all runs have, instead of an error.
        pooled: the runs are models of two kinds from several training seeds, all of the first kind, then all of the
            second in the same order of seeds; each seed's two are compared, and their difference over all seeds.
        seed: of the bootstrap over patients, where patients are known.

    Raises:
        RunError: a folder without finished audit, or runs whose images, labels or budgets differ.
        UsageError: fewer than two runs.
    """
    paths = [Path(run) for run in runs]
    if len(paths) < 2:
        raise UsageError("a comparison needs two runs or more", value=len(paths), next_step="percuss compare RUN RUN")
    opened = [open_finished(path, name) for path, name in zip(paths, names_of(paths), strict=True)]
    same_kind(opened)
    ids, sizes = shared_images(opened, partly=shared), shared_sizes(opened, partly=shared)
    parts, groups = sides(opened, ids, sizes)
    standing, contrasts, over = _compared(parts, groups, pooled=pooled, seed=seed)
    found = Comparison(
        tuple(run.name for run in opened),
        tuple(str(path) for path in paths),
        len(ids),
        tuple(len(run.clean) - len(ids) for run in opened),
        tuple(standing),
        tuple(contrasts),
        tuple(_findings(opened, len(ids))),
        tuple(over),
        () if pooled else tuple(_masks(opened, ids, groups, seed)),
        () if pooled else tuple(_heat(opened, ids, groups, seed)),
    )
    if out is not None:
        _write(Path(out), found, opened, seed)
    return found


def _compared(
    parts: Sequence[Side], groups: Sequence[str], *, pooled: bool, seed: int
) -> tuple[list[Standing], list[Contrast], list[Pooled]]:
    """Every pair of runs; where pooled the pairs of each seed, and all seeds together."""
    if not pooled:
        return *compare_sides(parts, groups, seed=seed), []
    if len(parts) % 2:
        raise UsageError(
            "pooling needs pairs of runs",
            value=f"{len(parts)} runs",
            allowed="all runs of the first kind, then as many of the second",
        )
    half = len(parts) // 2
    over = pool_sides(parts[:half], parts[half:], groups)
    found = [compare_sides(pair, groups, seed=seed) for pair in zip(parts[:half], parts[half:], strict=True)]
    return [item for own, _ in found for item in own], [item for _, own in found for item in own], over


def _masks(runs: Sequence[Finished], ids: Sequence[str], groups: Sequence[str], seed: int) -> list[MaskContrast]:
    """Differences of the mean Dice where the runs judged class maps."""
    data = runs[0].results.data
    if data.task not in DENSE:
        return []
    tables = {run.name: RunFolder.existing(run.path).read_table(TABLE) for run in runs}
    return compare_masks(tables, ids, groups, classes=len(data.classes), seed=seed)


def _heat(runs: Sequence[Finished], ids: Sequence[str], groups: Sequence[str], seed: int) -> list[HeatContrast]:
    """Differences of the AUC-PR where the runs judged heat maps."""
    if runs[0].results.data.task != "heatmap":
        return []
    tables = {run.name: RunFolder.existing(run.path).read_table(TABLE) for run in runs}
    return compare_heat(tables, ids, groups, seed=seed)


def _findings(runs: Sequence[Finished], count: int) -> list[Finding]:
    found = []
    attacks = {run.name: run.results.attacks for run in runs}
    if len({json.dumps(item, sort_keys=True) for item in attacks.values()}) > 1:
        told = "; ".join(f"{name}: {', '.join(str(a['name']) for a in item)}" for name, item in attacks.items())
        found.append(
            Finding(
                "different-attacks",
                "warning",
                "The runs were attacked by different attacks or settings, so a difference between them may be one of "
                f"the attacks and not of the models ({told}).",
                {"attacks": attacks},
            )
        )
    protocols = {run.name: run.results.protocol for run in runs}
    if len(set(protocols.values())) > 1:
        found.append(
            Finding("different-protocols", "severe", "The runs were scored by different protocols.", dict(protocols))
        )
    grave = {run.name: [f.id for f in run.results.findings if f.severity == "severe"] for run in runs}
    if any(grave.values()):
        told = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in grave.items() if ids)
        found.append(
            Finding("doubtful-run", "severe", f"A run has severe findings of its own ({told}).", {"findings": grave})
        )
    if any(len(run.clean) != count for run in runs):
        left = {run.name: len(run.clean) - count for run in runs}
        told = ", ".join(f"{number} of {name}" for name, number in left.items())
        found.append(
            Finding(
                "images-left-out", "warning", f"Images that not every run judged were left out: {told}.", dict(left)
            )
        )
    return found


def _away_from_zero(interval: Interval) -> bool:
    return interval.low is not None and interval.high is not None and (interval.low > 0 or interval.high < 0)


def _runs_table(runs: Sequence[Finished]) -> Table:
    body = [
        (
            run.name,
            run.results.model.spec,
            run.results.model.sha256[:12],
            run.results.data.spec,
            ", ".join(str(item["name"]) for item in run.results.attacks),
            str(run.results.seed),
            run.results.run_id,
        )
        for run in runs
    ]
    return Table(("run", "model", "sha256", "data", "attacks", "seed", "id"), tuple(body), words=7)


def _write(out: Path, found: Comparison, runs: Sequence[Finished], seed: int) -> None:
    ids = [run.results.run_id for run in runs]
    folder = RunFolder.start(out, {"command": "compare", "runs": " ".join(ids), "seed": str(seed)})
    try:
        folder.write("results.json", json.dumps(found.record(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        write_sections(
            out / "compare.html",
            sections(
                found.standing,
                found.contrasts,
                more=[
                    *([pooled_section(found.pooled)] if found.pooled else []),
                    *([heat_section(found.heat)] if found.heat else []),
                    *([mask_section(found.masks)] if found.masks else []),
                ],
                findings=found.findings,
                opening=found.sentences,
                runs=_runs_table(runs),
            ),
            title="comparison of audits",
            meta=f"{now()[:10]} · {', '.join(ids)}",
            version=environment.version(),
        )
        folder.finish()
    finally:
        folder.close()
