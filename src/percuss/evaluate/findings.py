"""Doubts that the rows themselves raise: each a finding with its numbers (docs/findings.md lists them)."""

from __future__ import annotations

import pandas as pd

from percuss.core.outcome import Finding, Severity
from percuss.evaluate.curves import CONTROLS, WORST, Point
from percuss.evaluate.intervals import Clusters

_FEW_IMAGES = 30
_FEW_PATIENTS = 10


def look(found: list[Point], clean: pd.DataFrame, clusters: Clusters) -> list[Finding]:
    """All findings of a finished run, severe ones first."""
    right = int(clean["correct"].sum())
    listed = _size(clean, clusters) + _guessing(clean)
    if right:
        listed += [item for point in found for item in _of_point(point, found, right)]
        listed += _of_worst([point for point in found if point.attack == WORST], right)
    rank = {"severe": 0, "warning": 1, "info": 2}
    return sorted(listed, key=lambda item: rank[item.severity])


def _size(clean: pd.DataFrame, clusters: Clusters) -> list[Finding]:
    if len(clean) < _FEW_IMAGES:
        text = f"Only {len(clean)} images: every interval is wide."
        return [Finding("few-images", "warning", text, {"images": len(clean)})]
    if clusters.known and clusters.count < _FEW_PATIENTS:
        text = f"Only {clusters.count} patients: intervals over patients are themselves uncertain."
        return [Finding("few-patients", "warning", text, {"patients": clusters.count})]
    return []


def _guessing(clean: pd.DataFrame) -> list[Finding]:
    accuracy = float(clean["correct"].mean())
    usual = float(clean["label"].value_counts(normalize=True).iloc[0])
    if accuracy > usual:
        return []
    text = (
        f"Clean accuracy {accuracy:.1%} is no better than always naming the most frequent class ({usual:.1%}): "
        "robustness of such a model says little."
    )
    return [Finding("clean-accuracy-low", "warning", text, {"accuracy": accuracy, "most_frequent": usual})]


def _of_point(point: Point, found: list[Point], right: int) -> list[Finding]:
    """Findings of one attack at one budget: noise that flips, single steps that beat many, a curve that rises."""
    listed = []
    rate = point.flipped.sum() / right
    if point.attack in CONTROLS and rate > 0.1:
        text = f"Random noise of size {point.budget} already flips {rate:.1%} of the rightly decided images."
        listed.append(Finding("noise-flips", "warning", text, {"budget": point.budget, "rate": rate}))
    pgd = next((p for p in found if p.attack == "pgd" and p.budget == point.budget), None)
    missed = int((point.flipped & ~pgd.flipped).sum()) if point.attack == "fgsm" and pgd else 0
    if missed / right > 0.005:
        text = (
            f"At {point.budget} the single step flips {missed} images that many steps do not: "
            "a sign of masked gradients or too few steps."
        )
        severity: Severity = "severe" if missed / right > 0.05 else "warning"
        listed.append(Finding("single-step-beats-iterative", severity, text, {"images": missed}))
    lost = int((point.flipped & ~point.raw).sum())
    if point.attack != WORST and lost / right > 0.03:
        text = (
            f"{point.attack} at {point.budget} did not itself flip {lost} images that it had flipped at a smaller size."
        )
        listed.append(Finding("curve-not-falling", "warning", text, {"images": lost}))
    return listed


def _of_worst(worst: list[Point], right: int) -> list[Finding]:
    """Findings of the worst case over attacks, per norm."""
    listed = []
    for norm in dict.fromkeys(point.norm for point in worst):
        line = [point for point in worst if point.norm == norm]
        first, last = line[0].flipped.sum(), line[-1].flipped.sum()
        numbers = {"norm": norm, "smallest": line[0].budget, "largest": line[-1].budget}
        if norm == "none":
            if last < right:
                text = (
                    f"Without any limit on the change {right - last} of {right} images did not flip: the attack "
                    "lacks steps, or gradients are masked."
                )
                listed.append(Finding("unbounded-not-zero", "warning", text, {"left": int(right - last)}))
            continue
        if first == right:
            text = (
                f"Every image flips at {line[0].budget} already: add smaller budgets to see how small a change does it."
            )
            listed.append(Finding("all-flip-at-smallest", "info", text, numbers))
        if last == 0:
            text = f"No image flips up to {line[-1].budget}: add larger budgets, to see that the attack works at all."
            listed.append(Finding("none-flip", "warning", text, numbers))
        listed += [
            _float_only(point, right) for point in line if point.flipped.sum() - point.stored.sum() > 0.1 * right
        ][:1]
    return listed


def _float_only(point: Point, right: int) -> Finding:
    """Success that is lost when the image is saved."""
    flipped, stored = int(point.flipped.sum()), int(point.stored.sum())
    text = (
        f"At {point.budget} {flipped} of {right} images flip as computed, but only {stored} still do once rounded "
        "to the depth in which images are stored: the rest cannot be saved in an image file."
    )
    return Finding("float-only", "info", text, {"budget": point.budget, "float": flipped, "stored": stored})
