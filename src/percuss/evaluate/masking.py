"""Signs in the rows that gradients are masked: an attack beaten by what is weaker, or a curve that stops falling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from percuss.core.luck import beats_luck
from percuss.core.outcome import Finding, Severity
from percuss.evaluate.curves import CONTROLS, WORST, Point

#: Attacks of a single gradient, and those that ask for logits only.
SINGLE = frozenset({"fgsm"})
QUERIES = frozenset({"square"})


def masking(found: list[Point], clean: pd.DataFrame) -> list[Finding]:
    """All such findings, each once per norm."""
    right = int(clean["correct"].sum())
    if not right:
        return []
    listed = []
    for norm in dict.fromkeys(point.norm for point in found):
        points = [point for point in found if point.norm == norm]
        many = [p for p in points if p.attack not in CONTROLS | SINGLE | QUERIES | {WORST}]
        listed += _single_step([p for p in points if p.attack in SINGLE], _union(many), right)
        listed += _questions([p for p in points if p.attack in QUERIES], _union(many), right)
        worst = [p for p in points if p.attack == WORST]
        if norm != "none":  # without a limit noise is a random image, and there is one size only
            listed += _chance([p for p in points if p.attack in CONTROLS], {p.budget: [p] for p in worst}, right)
            listed += _floor(worst, clean, right)
    return listed


def suite_questions(parts: Sequence[pd.DataFrame]) -> list[Finding]:
    """Images that only the questions of the standard suite flipped at some size, where there are more than luck gives.

    Args:
        parts: rows of the suite, whose ``attrs["queried"]`` names those images.
    """
    rows = [part[part["correct"].astype(bool)] for part in parts]
    flipped = {str(name) for part in parts for name in part.attrs.get("queried", ())}
    attacked = {str(name) for part in rows for name in part["id"]}
    taken = {str(name) for part in rows for name in part.loc[part["success"].astype(bool), "id"]} - flipped
    flagged, chance = beats_luck(len(flipped), len(attacked - taken))
    if not flagged:
        return []
    text = (
        f"Questions alone flipped {len(flipped)} of {len(attacked)} images at a size where no gradient attack of the "
        f"suite had (p = {chance:.2g} by luck): gradients are probably masked."
    )
    evidence = {"flipped": len(flipped), "images": len(attacked), "p": chance, "ids": sorted(flipped)[:20]}
    return [Finding("query-beats-gradient", "severe", text, evidence)]


def _union(points: list[Point]) -> dict[str, list[Point]]:
    return {p.budget: [q for q in points if q.budget == p.budget] for p in points}


def _most_missed(line: list[Point], others: dict[str, list[Point]]) -> tuple[int, int, str]:
    """Where a line flips most that no other does: how many, how many the others flip, at which budget."""
    found = [(0, 0, "")]
    for point in line:
        if point.budget in others:
            taken = np.logical_or.reduce([other.flipped for other in others[point.budget]])
            found.append((int((point.flipped & ~taken).sum()), int(taken.sum()), point.budget))
    return max(found, key=lambda item: item[0])


def _single_step(line: list[Point], many: dict[str, list[Point]], right: int) -> list[Finding]:
    """One step must not beat many: where it does, most often the gradients are masked."""
    missed, _, budget = _most_missed(line, many)
    if missed <= 0.005 * right:
        return []
    text = (
        f"At {budget} the single step flips {missed} of {right} images that many steps do not: "
        "a sign of masked gradients or too few steps."
    )
    severity: Severity = "severe" if missed > 0.05 * right else "warning"
    return [Finding("single-step-beats-iterative", severity, text, {"budget": budget, "images": missed})]


def _questions(line: list[Point], many: dict[str, list[Point]], right: int) -> list[Finding]:
    """More flips by questions alone than luck gives where gradients fail."""
    missed, taken, budget = _most_missed(line, many)
    flagged, chance = beats_luck(missed, right - taken)
    if not flagged:
        return []
    text = (
        f"At {budget} a search without gradients flips {missed} of {right} images that attacks with gradients do not "
        f"(p = {chance:.2g} by luck): gradients are masked, and the curve is better than the model."
    )
    return [Finding("query-beats-gradient", "severe", text, {"budget": budget, "images": missed, "p": chance})]


def _chance(line: list[Point], worst: dict[str, list[Point]], right: int) -> list[Finding]:
    """What noise flips an attack of the same size must flip."""
    missed, _, budget = _most_missed(line, worst)
    if not missed:
        return []
    text = f"At {budget} random noise flips {missed} of {right} images that no attack of that size does."
    severity: Severity = "severe" if missed > max(1, 0.01 * right) else "warning"
    return [Finding("noise-beats-attack", severity, text, {"budget": budget, "images": missed})]


def _floor(worst: list[Point], clean: pd.DataFrame, right: int) -> list[Finding]:
    """A curve that stops at the clean error is most often scored against the model's own predictions."""
    if len(worst) < 2 or worst[-1].eps < 1.9 * worst[-2].eps:
        return []
    left, before = (right - int(point.flipped.sum()) for point in (worst[-1], worst[-2]))
    wrong = len(clean) - right
    if left != before or left in (0, right) or abs(left - wrong) > max(1, 0.01 * len(clean)):
        return []
    text = (
        f"From {worst[-2].budget} to {worst[-1].budget} robust accuracy stays at {left} of {len(clean)}, as many "
        f"as were wrong without attack ({wrong}): an attack that leads away from the model's own decision ends there."
    )
    return [Finding("curve-floors", "warning", text, {"left": left, "wrong_before": wrong, "budget": worst[-1].budget})]
