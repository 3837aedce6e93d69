"""Whether a sparse code makes a model more robust, or only harder to differentiate: what the attacks say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from percuss.core.outcome import Finding
from percuss.core.results import HeatPoint, Interval

#: The attack confined to the code, and those that go through it to the image.
ON_CODE = "sparse_code"
SPARSE = ("implicit", "unrolled", "straight_through", "one_step")
THROUGH = (*SPARSE, "pgd", "apgd")
#: Much higher: more than this share of the clean AUC-PR apart, with intervals that do not touch.
_FAR = 0.1
#: The AUC-PR of the first point less that of the second, on the same tiles.
Gap = Callable[[HeatPoint, HeatPoint], Interval]


def code_verdict(
    points: Sequence[HeatPoint], *, clean: HeatPoint | None = None, paired: Gap | None = None
) -> list[Finding]:
    """One finding where the attack on a sparse code and one through it to the image were run at one budget; else [].

    ``code-masks-gradient`` where the attack on the code leaves a much higher AUC-PR than the best attack through the
    code at the same budget: judged by the first alone, the model looks more robust than it is. ``code-not-masking``
    where it does not. Told of the budget with the widest gap.

    Args:
        points: of an audit of a network with a sparse code; those of images as computed count where there are both.
        clean: of the same images without attack; gaps are held against it where it is given.
        paired: the difference of two points with its interval, where the maps are at hand; else the two intervals must
            not touch, which asks for much more than the same tiles tell.
    """
    if not any(point.attack in SPARSE for point in points):  # of other codes no attack needs a gradient of its own
        return []
    pairs = [pair for pair in map(_pair_of, _by_budget(points)) if pair is not None]
    if not pairs:
        return []
    top = None if clean is None else clean.auc_pr.value
    told = cache(paired) if paired else None  # each difference draws all tiles anew
    masked = [pair for pair in pairs if _gap(*pair) > _FAR * (1.0 if top is None else top) and _apart(*pair, told)]
    on, through = max(masked or pairs, key=lambda pair: _gap(*pair))
    apart = told(on, through) if told else None
    return [_masking(on, through, apart) if masked else _not_masking(on, through, apart)]


def _by_budget(points: Sequence[HeatPoint]) -> list[list[HeatPoint]]:
    """Points of the same norm, budget and kind of image, of images as computed where there are any."""
    computed = [point for point in points if not point.stored]
    found: dict[tuple[str, str], list[HeatPoint]] = {}
    for point in computed or points:
        if point.auc_pr.value is not None:
            found.setdefault((point.norm, point.budget), []).append(point)
    return list(found.values())


def _pair_of(points: list[HeatPoint]) -> tuple[HeatPoint, HeatPoint] | None:
    """The point of the attack on the code, and the lowest of those through it."""
    on = [point for point in points if point.attack == ON_CODE]
    through = [point for point in points if point.attack in THROUGH]
    return (on[0], min(through, key=_value)) if on and through else None


def _value(point: HeatPoint) -> float:
    assert point.auc_pr.value is not None  # _by_budget left the others out
    return point.auc_pr.value


def _gap(on: HeatPoint, through: HeatPoint) -> float:
    return _value(on) - _value(through)


def _apart(on: HeatPoint, through: HeatPoint, paired: Gap | None) -> bool:
    """Whether luck with the tiles does not explain the gap."""
    if paired is not None:
        low = paired(on, through).low
        return low is None or low > 0
    low, high = on.auc_pr.low, through.auc_pr.high
    return low is None or high is None or low > high


def _masking(on: HeatPoint, through: HeatPoint, apart: Interval | None) -> Finding:
    end = "" if apart is None else f" {_difference(apart)}."
    if through.prevalence is not None and _value(through) <= through.prevalence:
        end += f" That is no more than a map without knowledge reaches ({through.prevalence:.3f})."
    text = (
        f"At {on.budget} the attack on the code leaves an AUC-PR of {_told(on.auc_pr)}, {through.attack} through it "
        f"{_told(through.auc_pr)}.{end} The sparse code is harder to differentiate, not as robust as the attack on the "
        "code makes it look: only the lowest of the attacks counts."
    )
    return Finding("code-masks-gradient", "warning", text, _evidence(on, through))


def _not_masking(on: HeatPoint, through: HeatPoint, apart: Interval | None) -> Finding:
    more = "" if apart is None else f" {_difference(apart)}."
    text = (
        f"At {on.budget} the attack on the code leaves an AUC-PR of {_told(on.auc_pr)}, {through.attack} through it "
        f"{_told(through.auc_pr)}: what the code withstands in the one it withstands in the other, as far as these "
        f"images show.{more}"
    )
    return Finding("code-not-masking", "info", text, _evidence(on, through))


def _difference(apart: Interval) -> str:
    return f"The difference on the same tiles is {_told(apart)}"


def _told(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _evidence(on: HeatPoint, through: HeatPoint) -> dict[str, object]:
    return {"budget": on.budget, "on_code": _value(on), "through": _value(through), "attack": through.attack}
