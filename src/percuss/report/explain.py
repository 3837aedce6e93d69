"""The page of an explanation: how far maps move, maps side by side, the plane of features, the landscape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from percuss.core.explained import Dots, Floats, Landscape, MapCase, Moved
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.report.contours import landscape_chart
from percuss.report.heat import heat, overlay, plain
from percuss.report.numbers import decimal
from percuss.report.plane import plane_chart
from percuss.report.sections import Section, Table

NAMES = {"saliency": "saliency", "gradcam": "Grad-CAM", "perturbation": "size of the change"}
MEASURES = {
    "rank": "rank correlation (1: same order of pixels)",
    "overlap": "overlap of the top tenth (1: same pixels)",
    "shift": "shift of the centre of mass, pixels",
}
_WHEN = ("before", "after the attack", "under noise of its size")
_CHANGE = ("edges of the image", "size of the change", "size of noise like it")


@dataclass(frozen=True)
class Explanation:
    """What the page is made of; ``plane`` are its points, the way of one attack, and sentences about both."""

    norm: str
    flips: int
    shown: int
    method: str
    layer: str
    moved: Sequence[Moved]
    cases: Sequence[MapCase]
    plane: tuple[Sequence[Dots], Floats | None, Sequence[str]] | None
    landscape: Landscape | None
    samples: int
    notes: Sequence[str]
    findings: Sequence[Finding]


def sections(found: Explanation) -> list[Section]:
    """The parts of the page, in order."""
    parts = [Section("What the model looks at, before and after", _opening(found), tuple(found.findings))]
    if found.moved:
        parts = [Section(parts[0].title, parts[0].paragraphs, parts[0].findings, tables=(drift_table(found.moved),))]
        parts.append(Section("What was compared", _compared(found)))
    parts += [Section(case.title, pictures=tuple(_pictures(case))) for case in found.cases]
    if found.plane is not None:
        groups, way, words = found.plane
        label = "Features of clean and attacked images in a plane fitted on clean images"
        chart = plane_chart(groups, way=way, label=label)
        parts.append(Section("Where attacked images lie among clean ones", tuple(words), charts=(chart,)))
    if found.landscape is not None:
        parts.append(_landscape(found.landscape, found.samples))
    return parts


def drift_table(moved: Sequence[Moved]) -> Table:
    """Every measure under attack and under noise, with the paired difference."""
    body = tuple(
        (NAMES[item.kind], MEASURES[item.measure], *(_cell(item, side) for side in ("attack", "noise", "difference")))
        for item in moved
    )
    head = ("map", "measure, mean over images", "attack", "noise of its size", "difference")
    return Table(head, body, words=2)


def _cell(item: Moved, side: str) -> str:
    interval: Interval = getattr(item, side)
    return f"{decimal(interval, 2, signed=side == 'difference')}, n {interval.n}"


def _opening(found: Explanation) -> tuple[str, ...]:
    text = list(found.notes)
    for item in found.moved:
        low, high, value = item.difference.low, item.difference.high, item.difference.value
        if item.measure != "rank" or value is None:
            continue
        if item.kind == "perturbation":
            text.append(_shows(item))
            continue
        if low is None or high is None:
            said = "too few images to say whether the attack moves it more than noise does"
        elif high < 0:
            said = "the attack moves it more than noise of the same size"
        elif low > 0:
            said = "the attack moves it less than noise of the same size"
        else:
            said = "no difference to noise of the same size can be told"
        text.append(
            f"{NAMES[item.kind][0].upper()}{NAMES[item.kind][1:]}: rank correlation with the clean map "
            f"{decimal(item.attack, 2)} after the attack, {decimal(item.noise, 2)} under noise; {said}."
        )
    if found.moved:
        text.append(f"{found.shown} images drawn from the {found.flips} that {found.norm} attacks of this run flip.")
    return tuple(text)


def _shows(item: Moved) -> str:
    """Whether the change lies where the image has edges."""
    low, high = item.difference.low, item.difference.high
    said = "too few images to say whether the change shows the image"
    if low is not None and high is not None:
        said = "the change does not show the image more than noise would"
        said = "the change lies where the image has edges" if low > 0 else said
        said = "the change keeps away from the edges of the image" if high < 0 else said
    return (
        f"Size of the change: rank correlation with the edges of the clean image {decimal(item.attack, 2)}, of noise "
        f"{decimal(item.noise, 2)}; {said}."
    )


def _compared(found: Explanation) -> tuple[str, ...]:
    kinds = {item.kind for item in found.moved}
    text = ["Maps are of the true class (of several labels: of the one that the attack moves most), before and after."]
    if "saliency" in kinds:
        words = {
            "gradient": "size of the gradient of the class's logit",
            "integrated_gradients": "integrated gradients",
        }
        text.append(f"Saliency: {words[found.method]}, the largest over the channels of each pixel.")
    if "gradcam" in kinds:
        text.append(f"Grad-CAM: layer {found.layer}; what speaks against the class is not shown.")
    if "perturbation" in kinds:
        text.append(
            "Size of the change: mean over the channels of each pixel, set against the edges of the clean image, the "
            "length of the gradient of its grey values. Where it lies on them, the change carries the image's shape."
        )
    text.append(
        "Noise: the very values of the attack's change at shuffled pixels with random signs, three draws per image. A "
        "map that moves as much under noise says nothing about the attack. A map without any mass has no order: such "
        "images are not counted. Intervals: 95 %, bootstrap over patients where they are known, else over images. "
        "Each picture has its own scale, up to its 99.5th percentile."
    )
    return tuple(text)


def _pictures(case: MapCase) -> list[tuple[str, str]]:
    found = [("original", plain(case.clean)), ("attacked, as stored", plain(case.attacked))]
    for kind, maps in case.maps.items():
        named = [f"{NAMES[kind]} {when}" for when in _WHEN] if kind != "perturbation" else list(_CHANGE)
        for when, name, values in zip(_WHEN, named, maps, strict=True):
            peak = float(np.quantile(values, 0.995)) or float(values.max())
            if kind == "gradcam":
                picture = overlay(case.attacked if when == _WHEN[1] else case.clean, values, peak=peak)
            else:
                picture = heat(values, peak=peak)
            empty = "" if values.any() else ": nothing speaks for the class"
            found.append((f"{name}{empty}", picture))
    return found


def _landscape(found: Landscape, samples: int) -> Section:
    words = {
        "trajectory": "The plane holds the first two principal components of the weights' way through training. Open "
        "circles: the kept weights in order; full circle: the model.",
        "random": "The plane lies along two random directions, each filter as long as the network's own: 1 is a change "
        "as large as the filter. It says how sharp the minimum is there, and nothing about how it was reached.",
    }
    text = (
        words[found.kind],
        f"Mean cross-entropy over {samples} clean images, lines at equal ratios. Statistics of batch normalisation "
        "stay those of the model, so the loss far from it is that of a network that training never saw.",
    )
    label = "Loss on a plane through the weights of the model"
    return Section("The landscape of the loss", text, charts=(landscape_chart(found, label=label),))
