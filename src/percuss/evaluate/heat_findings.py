"""Doubts that the numbers of heat maps raise: each a finding with its numbers (docs/findings.md lists them)."""

from __future__ import annotations

from collections.abc import Iterable

from percuss.core.outcome import Finding
from percuss.core.results import Heat, HeatPoint
from percuss.evaluate.curves import CONTROLS, WORST

#: A difference of AUC-PR below this is not worth a finding.
_SLIGHT = 0.05
_SINGLE = "fgsm"


def heat_findings(heat: Heat) -> list[Finding]:
    """All findings on the areas under the curve, severe ones first."""
    found = [*_of_truth(heat), *_of_clean(heat), *_of_noise(heat), *_of_single_step(heat), *_of_sizes(heat)]
    rank = {"severe": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda item: rank[item.severity])


def _of_truth(heat: Heat) -> Iterable[Finding]:
    if heat.not_exhaustive:
        names = ", ".join(heat.not_exhaustive)
        yield Finding(
            "not-exhaustive",
            "warning",
            f"Outlines of {names} are known to leave out tumour. What is not outlined there is left unjudged, so that "
            "no false alarm counts and AUC-PR flatters, or it counts as normal (percuss tile --count-outside), and "
            "AUC-PR is lower than the model deserves.",
            {"slides": heat.not_exhaustive},
        )
    if heat.slides == 1:
        yield Finding(
            "one-slide",
            "warning",
            "All tiles are of one slide: intervals are over its tiles and say nothing of other slides.",
            {"slides": 1},
        )


def _of_clean(heat: Heat) -> Iterable[Finding]:
    value = heat.clean.auc_pr.value
    if value is None:
        yield Finding(
            "heat-undefined",
            "severe",
            "AUC-PR needs tumour cells and normal ones; the judged cells are all of one kind.",
            {"cells": heat.clean.cells, "null": heat.null},
        )
    elif heat.null is not None and value <= heat.null + _SLIGHT:
        yield Finding(
            "heat-knows-nothing",
            "warning",
            f"The clean AUC-PR of {value:.3f} is hardly above that of a constant map ({heat.null:.3f}): robustness of "
            "such a model says little.",
            {"auc_pr": value, "null": heat.null},
        )


def _of_noise(heat: Heat) -> Iterable[Finding]:
    clean = heat.clean.auc_pr.value
    for point in heat.points:
        value = point.auc_pr.value
        if point.attack not in CONTROLS or point.stored or clean is None or value is None or point.norm == "none":
            continue
        if value < clean - 2 * _SLIGHT:
            yield Finding(
                "noise-lowers-heat",
                "warning",
                f"Random changes ({point.attack}) of size {point.budget} already lower AUC-PR from {clean:.3f} to "
                f"{value:.3f}.",
                {"budget": point.budget, "auc_pr": value, "clean": clean},
            )
            return


def _of_single_step(heat: Heat) -> Iterable[Finding]:
    """A step that does better than many is a sign of masked gradients, or of attacks that lack steps."""
    for point in heat.points:
        if point.attack != _SINGLE or point.stored or point.auc_pr.value is None:
            continue
        same = [other for other in heat.points if _beside(point, other) and other.attack not in (_SINGLE, WORST)]
        many = [other.auc_pr.value for other in same if other.attack not in CONTROLS and other.auc_pr.value is not None]
        if many and point.auc_pr.value < min(many) - _SLIGHT:
            yield Finding(
                "single-step-beats-iterative",
                "severe",
                f"At {point.budget} a single step leaves an AUC-PR of {point.auc_pr.value:.3f}, the best attack of "
                f"many steps {min(many):.3f}: a sign of masked gradients or too few steps.",
                {"budget": point.budget, "single": point.auc_pr.value, "iterative": min(many)},
            )
            return


def _of_sizes(heat: Heat) -> Iterable[Finding]:
    clean = heat.clean.auc_pr.value
    for norm in dict.fromkeys(point.norm for point in heat.points):
        line = [p for p in heat.points if p.norm == norm and p.attack == WORST and not p.stored]
        line = sorted(line, key=lambda point: float("inf") if point.eps is None else point.eps)
        if not line or clean is None or line[-1].auc_pr.value is None:
            continue
        if line[-1].auc_pr.value > clean - _SLIGHT:
            yield Finding(
                "heat-does-not-fall",
                "warning",
                f"AUC-PR hardly falls up to {line[-1].budget} ({clean:.3f} to {line[-1].auc_pr.value:.3f}): add larger "
                "budgets, to see that the attack works at all.",
                {"norm": norm, "largest": line[-1].budget, "clean": clean, "auc_pr": line[-1].auc_pr.value},
            )
        yield from _float_only(heat, line)


def _float_only(heat: Heat, line: list[HeatPoint]) -> Iterable[Finding]:
    """Damage that is lost when the tile is saved."""
    worst = [point for point in heat.points if point.attack == WORST and point.norm == line[0].norm]
    stored = {point.budget: point.auc_pr.value for point in worst if point.stored}
    for point in line:
        saved, value = stored.get(point.budget), point.auc_pr.value
        if saved is not None and value is not None and saved > value + 2 * _SLIGHT:
            yield Finding(
                "heat-float-only",
                "info",
                f"At {point.budget} AUC-PR falls to {value:.3f} as computed, but only to {saved:.3f} once tiles are "
                "rounded to the depth in which they are stored.",
                {"budget": point.budget, "float": value, "stored": saved},
            )
            return


def _beside(point: HeatPoint, other: HeatPoint) -> bool:
    return (point.norm, point.budget, point.stored) == (other.norm, other.budget, other.stored)
