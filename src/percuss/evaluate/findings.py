"""Doubts that the rows themselves raise: each a finding with its numbers (docs/findings.md lists them)."""

from __future__ import annotations

import pandas as pd

from percuss.core.images import DENSE, Task
from percuss.core.outcome import Finding, Severity
from percuss.core.results import Dense
from percuss.evaluate.curves import CONTROLS, WORST, Point
from percuss.evaluate.intervals import Clusters
from percuss.evaluate.masking import masking

_FEW_IMAGES = 30
_FEW_PATIENTS = 10


def look(
    found: list[Point],
    clean: pd.DataFrame,
    clusters: Clusters,
    *,
    task: Task = "classify",
    dense: Dense | None = None,
) -> list[Finding]:
    """All findings of a finished run, severe ones first; of heat maps those on sizes alone (``heat_findings``)."""
    right = int(clean["correct"].sum())
    own = [] if task == "heatmap" else _maps(clean, dense) if task in DENSE else _guessing(clean)
    listed = _size(clean, clusters, *(("tile", "slide") if task == "heatmap" else ("image", "patient"))) + own
    if found and all(point.attack in CONTROLS for point in found):
        text = "Only random noise was run, which is a control and no attack: robustness was not tested."
        listed.append(Finding("only-controls", "severe", text, {"attacks": sorted({p.attack for p in found})}))
    if right and task != "heatmap":
        for attack, norm in dict.fromkeys((point.attack, point.norm) for point in found):
            line = [point for point in found if (point.attack, point.norm) == (attack, norm)]
            listed += _of_line(line, right)
        listed += _of_worst([point for point in found if point.attack == WORST], right) + masking(found, clean)
    rank = {"severe": 0, "warning": 1, "info": 2}
    return sorted(listed, key=lambda item: rank[item.severity])


def _size(clean: pd.DataFrame, clusters: Clusters, image: str, patient: str) -> list[Finding]:
    """Findings on few images or patients, in the words of the task."""
    listed = []
    if len(clean) < _FEW_IMAGES:
        text = f"Only {_counted(len(clean), image)}: every interval is wide."
        listed.append(Finding("few-images", "warning", text, {"images": len(clean)}))
    if clusters.known and clusters.count < _FEW_PATIENTS:
        patients = _counted(clusters.count, patient)
        text = f"Only {patients}: intervals over {patient}s are themselves uncertain, and too narrow."
        listed.append(Finding("few-patients", "warning", text, {"patients": clusters.count}))
    if clusters.loose:
        text = (
            f"The {patient} of {clusters.loose} of {len(clean)} {image}s is unknown; each counts as a {patient} of its "
            f"own, which makes intervals too narrow where such {image}s share a {patient}."
        )
        listed.append(Finding("patients-partly-known", "warning", text, {"images": clusters.loose}))
    return listed


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _guessing(clean: pd.DataFrame) -> list[Finding]:
    accuracy = float(clean["correct"].mean())
    usual = float(clean["label"].value_counts(normalize=True).iloc[0])
    if usual == 1 and len(clean) > 1:
        text = "All images have the same label: accuracy is that of this class alone, and there is no AUC."
        return [Finding("one-class", "warning", text, {"label": str(clean["label"].iloc[0]), "images": len(clean)})]
    if accuracy > usual:
        return []
    text = (
        f"Clean accuracy {accuracy:.1%} is no better than always naming the most frequent class ({usual:.1%}): "
        "robustness of such a model says little."
    )
    return [Finding("clean-accuracy-low", "warning", text, {"accuracy": accuracy, "most_frequent": usual})]


def _maps(clean: pd.DataFrame, dense: Dense | None) -> list[Finding]:
    """Findings on the truths of class maps, and on a model that does no better than naming no object at all."""
    listed = []
    empty = int(clean["label"].eq("0").sum())
    if empty:
        text = (
            f"{empty} of {len(clean)} images hold background only: there the share of pixels decided as background "
            "stands in for the Dice coefficient."
        )
        listed.append(Finding("no-nuclei-images", "info", text, {"images": empty, "of": len(clean)}))
    if dense is None:
        return listed
    absent = [item.name for item in dense.clean.classes if item.pixels == 0]
    if absent:
        text = f"No image holds {', '.join(absent)}: nothing is said of how well it is found."
        listed.append(Finding("class-absent", "info", text, {"classes": absent}))
    pixels, floor = dense.clean.pixel_accuracy.value, dense.clean.floor.value
    if pixels is not None and floor is not None and pixels <= floor:
        text = (
            f"Pixel accuracy {pixels:.1%} is no better than deciding {dense.background} everywhere ({floor:.1%}): "
            "robustness of such a model says little."
        )
        listed.append(Finding("all-background", "warning", text, {"pixel_accuracy": pixels, "floor": floor}))
    return listed


def _of_line(line: list[Point], right: int) -> list[Finding]:
    """Findings of one attack under one norm, each once: where it shows first, or most."""
    attack, listed = line[0].attack, []
    shaken = next((point for point in line if point.flipped.sum() > 0.1 * right), None)
    # Without a limit noise is a random image, on which no decision is expected to hold.
    if attack in CONTROLS and line[0].norm != "none" and shaken is not None:
        rate = float(shaken.flipped.sum() / right)
        text = f"Random noise of size {shaken.budget} already flips {rate:.1%} of the rightly decided images."
        listed.append(Finding("noise-flips", "warning", text, {"budget": shaken.budget, "rate": rate}))
    lost, most = max(((int((p.flipped & ~p.raw).sum()), p) for p in line), key=lambda pair: pair[0])
    if attack != WORST and lost > max(1, 0.01 * right):
        text = (
            f"{attack} at {most.budget} did not itself flip {lost} of {right} images that it had flipped at a smaller "
            "size; they count as flipped."
        )
        grave: Severity = "severe" if lost > 0.1 * right else "warning"
        listed.append(Finding("curve-not-falling", grave, text, {"budget": most.budget, "images": lost}))
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
                grave: Severity = "severe" if right - last > 0.05 * right else "warning"
                listed.append(Finding("unbounded-not-zero", grave, text, {"left": int(right - last), "of": right}))
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
