"""What the opening of the report says of heat maps: AUC-PR before and under the worst attack, and the null model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from percuss.core.results import Heat, HeatPoint, Results
from percuss.report.numbers import decimal, size_text, visible_text, whole
from percuss.report.rows import NORM_ORDER, is_control

WORST = "worst"
#: Sizes of one norm that the paragraph names at most.
_NAMED = 4


@dataclass(frozen=True)
class HeatOpening:
    """The parts of the opening that speak of heat maps, as text: see ``verdict.Verdict``."""

    big: str
    small: str
    sentences: list[str]
    facts: list[tuple[str, str]]


def heat_opening(results: Results, heat: Heat) -> HeatOpening:
    """The one number, the sentences behind what was tested, and the facts beside them."""
    point, clean = heat_headline(heat), heat.clean
    said = [_clean(results, heat)]
    facts = [("AUC-PR without attack", decimal(clean.auc_pr)), ("Null model", _null(heat))]
    big, small = "–", "no attack was run"
    if point is None:
        said.append("No attack was run, so it is not known how small a change takes these maps apart.")
    else:
        said += [*_by_size(results, heat), *_noise(heat, point), *_ruined(results, heat), *_little(heat)]
        small = "AUC-PR is not defined on these tiles: they hold no tumour cell, or no normal one"
        if clean.auc_pr.value is not None and point.auc_pr.value is not None:
            big = f"{clean.auc_pr.value:.2f} → {point.auc_pr.value:.2f}"
            small = (
                f"AUC-PR of the heat maps without attack and within {point.budget} "
                f"({visible_text(point.norm, point.eps, results.data)}), as stored: {decimal(clean.auc_pr)} and "
                f"{decimal(point.auc_pr)}; the null model has {_null(heat)}"
            )
        facts += _facts(heat, point)
    bound = "An attack can only show that a model is weak: a better one may take the maps lower."
    return HeatOpening(big, small, [*said, *not_exhaustive(heat), bound], facts)


def worst_points(heat: Heat, norm: str, *, stored: bool) -> list[HeatPoint]:
    """The worst case over the attacks in one norm, smallest size first."""
    found = [point for point in heat.points if (point.attack, point.norm, point.stored) == (WORST, norm, stored)]
    return sorted(found, key=lambda point: math.inf if point.eps is None else point.eps)


def heat_headline(heat: Heat) -> HeatPoint | None:
    """The point that the opening leads with, as stored; None where no attack was run.

    The smallest size at which half is lost of what the maps have above the null model, of the first norm (in the order
    of the report) that has one; else the largest size of the first norm.
    """
    clean, null = heat.clean.auc_pr.value, heat.null
    half = -math.inf if clean is None or null is None or clean <= null else (clean + null) / 2
    lines = [points for norm in NORM_ORDER if (points := worst_points(heat, norm, stored=True))]
    lost = (p for points in lines for p in points if p.auc_pr.value is not None and p.auc_pr.value <= half)
    return next(lost, lines[0][-1] if lines else None)


def not_exhaustive(heat: Heat) -> list[str]:
    """What it means that the outlines of some slides leave out tumour; empty where none is named."""
    names = heat.not_exhaustive
    if not names:
        return []
    told = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return [
        f"The outlines of {told} are not exhaustive. Where what is not outlined was left unjudged, no false alarm "
        "there is counted; where it counts as normal, a map that finds tumour which nobody outlined is marked "
        "down for it. Precision on such a slide is off by an unknown amount."
    ]


def _clean(results: Results, heat: Heat) -> str:
    clean = heat.clean
    cells = f"{whole(clean.cells)} judged cells of {heat.cell} × {heat.cell} pixels"
    if clean.auc_pr.value is None:
        return f"They hold {cells}, all of one kind, so that AUC-PR is not defined."
    return (
        f"Without any attack its heat maps reach an AUC-PR (average precision over all {cells}) of "
        f"{decimal(clean.auc_pr)}; the null model, a map without knowledge, reaches {_null(heat)}, the share of "
        f"{results.data.classes[-1]} cells."
    )


def _null(heat: Heat) -> str:
    return "–" if heat.null is None else f"{heat.null:.3f}"


def _by_size(results: Results, heat: Heat) -> list[str]:
    """AUC-PR under the worst attack at each size, as stored; of many sizes the ends and some between."""
    found = []
    for norm in NORM_ORDER:
        points = [point for point in worst_points(heat, norm, stored=True) if point.auc_pr.value is not None]
        if not points:
            continue
        step = (len(points) - 1) / (_NAMED - 1)
        some = points if len(points) <= _NAMED else [points[round(place * step)] for place in range(_NAMED)]
        # A limit's own text says everything of a share of pixels and of no limit.
        plain = {point.budget: visible_text(norm, point.eps, results.data) for point in some}
        told = [f"{decimal(point.auc_pr)} within {point.budget} ({plain[point.budget]})" for point in some]
        many = f" at {len(some)} of the {len(points)} sizes tried" if len(some) < len(points) else ""
        found.append(f"Under the worst attack tried, as stored, AUC-PR is {_listed(told)}{many}.")
    return found


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _noise(heat: Heat, point: HeatPoint) -> list[str]:
    """What noise of the headline's size leaves, each control by itself."""
    same = [item for item in heat.points if (item.norm, item.budget, item.stored) == (point.norm, point.budget, True)]
    found = [item for item in same if is_control(item.attack) and item.auc_pr.value is not None]
    named = len(found) > 1
    return [
        f"Random noise{f' ({item.attack})' if named else ''} of the size {size_text(item.budget)} leaves "
        f"{decimal(item.auc_pr)}."
        for item in found
    ]


def _ruined(results: Results, heat: Heat) -> list[str]:
    """A sentence for each norm where the worst attack leaves nothing that can be told from the null model."""
    clean, found = heat.clean.auc_pr, list[str]()
    if heat.null is None or clean.value is None:
        return []
    if clean.value <= heat.null:
        return [
            "Already without attack the maps are no better than the null model, so that attacks on them say little."
        ]
    if clean.low is not None and clean.low <= heat.null:
        found.append("Already without attack the interval reaches down to the null model.")
    for norm in NORM_ORDER:
        for point in worst_points(heat, norm, stored=True):
            value, low = point.auc_pr.value, point.auc_pr.low
            where = f"{point.budget} ({visible_text(norm, point.eps, results.data)})"
            if value is not None and value <= heat.null:
                found.append(
                    f"At {where} the worst attack takes the maps down to the null model or below it: they say nothing "
                    f"of where {results.data.classes[-1]} is, or point away from it."
                )
                break
            if value is not None and low is not None and not found and low <= heat.null:
                found.append(f"At {where} the interval of the worst attack reaches down to the null model.")
                break
    return found


def _little(heat: Heat) -> list[str]:
    if heat.slides > 1:
        return []
    told = "one slide" if heat.slides == 1 else "slides that are not named"
    return [f"All tiles come from {told}, so that the intervals say nothing of other slides."]


def _facts(heat: Heat, point: HeatPoint) -> list[tuple[str, str]]:
    same = [item for item in worst_points(heat, point.norm, stored=False) if item.budget == point.budget]
    facts = [(f"Under {point.budget}, as stored", decimal(point.auc_pr))]
    facts += [(f"Under {point.budget}, as float", decimal(item.auc_pr)) for item in same]
    if point.by_slide.value is not None and heat.slides > 1:
        pair = f"{decimal(heat.clean.by_slide)} → {decimal(point.by_slide)}"
        facts.append(("Mean over slides, before → after", pair))
    return facts
