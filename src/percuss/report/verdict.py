"""The first paragraph: what was tested, the one number that matters, what it means, what was not tested."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.results import CurvePoint, Interval, Results
from percuss.report.curves import WORST, points_of
from percuss.report.heat_verdict import heat_headline, heat_opening
from percuss.report.mask_verdict import mask_clean, mask_number, mask_sentences
from percuss.report.numbers import (
    absolute_text,
    counted,
    counted_share,
    depth_text,
    grey,
    grey_text,
    hits,
    plain,
    share,
    size_text,
    whole,
)
from percuss.report.rows import NORM_ORDER, is_control

_BOUND = "An attack can only show that a model is weak: what no attack flipped here, a better one may still flip."


@dataclass(frozen=True)
class Verdict:
    """The opening of the report, as text.

    Attributes:
        big, small: the one number and its interval, with what it counts.
        sentences: the paragraph, in order.
        facts: name and value pairs shown beside it.
        trusted: False where a severe finding says that the numbers cannot be believed.
    """

    big: str
    small: str
    sentences: list[str]
    facts: list[tuple[str, str]]
    trusted: bool


def verdict(results: Results, split: str) -> Verdict:
    """The opening of the report for these results."""
    point = headline(results)
    trusted = not any(finding.severity == "severe" for finding in results.findings)
    if results.heat is not None:
        found = heat_opening(results, results.heat)
        said = [_tested(results, split), *found.sentences]
        return Verdict(found.big, found.small, said, found.facts, trusted)
    sentences = [_tested(results, split), _clean(results)]
    big, small = "–", "no attack was run"
    if point is not None:
        stored = _storable(point, results)
        sentences += mask_sentences(results, point, stored=stored) + _flips(point, results)
        rate = _judged(point, results)
        if rate.value is None:
            small = "no image was right before the attack, so none could be flipped"
        else:
            big = counted(rate)
            small = f"{'image' if rate.n == 1 else 'images'} flipped by {point.budget}; {share(rate)}"
        big, small = mask_number(results, point, stored=stored) or (big, small)
    else:
        sentences.append("No attack was run, so it is not known how small a change flips its decisions.")
    sentences.append(_BOUND)
    return Verdict(big, small, sentences, _facts(point, results), trusted)


def headline(results: Results) -> CurvePoint | None:
    """The point that the verdict speaks of.

    For linf the smallest size that a stored image can hold (one grey level), else the largest size tried; for the
    other norms the smallest size that flips half of the images as stored, else the largest. Of heat maps the size that
    ``heat_headline`` chooses.
    """
    found = heat_headline(results.heat) if results.heat is not None else None
    if found is not None:
        return next((p for p in points_of(results, found.norm, WORST) if p.budget == found.budget), None)
    for norm in NORM_ORDER:
        points = points_of(results, norm, WORST)
        if norm == "linf" and points:
            return next((p for p in points if _storable(p, results)), points[-1])
        if points:
            return next((p for p in points if (p.success_rate_stored.value or 0.0) >= 0.5), points[-1])
    return None


def _storable(point: CurvePoint, results: Results) -> bool:
    steps = grey(point.eps, results.data)
    return point.norm != "linf" or (steps is not None and steps >= 1 - 1e-6)


def _judged(point: CurvePoint, results: Results) -> Interval:
    return point.success_rate_stored if _storable(point, results) else point.success_rate


def _tested(results: Results, split: str) -> str:
    data = results.data
    image, patient = ("tile", "slide") if results.heat is not None else ("image", "patient")
    images = f"one {image}" if data.n_images == 1 else f"{whole(data.n_images)} {image}s"
    groups = f"({patient}s unknown)" if data.n_groups is None else f"of {whole(data.n_groups)} {patient}s"
    if data.n_groups == 1:
        groups = f"of one {patient}"
    bad = f"; {data.n_bad} more could not be read and were left out" if data.n_bad else ""
    model = "The model given in Python" if results.model.spec == "module" else f"The model {results.model.spec}"
    return f"{model} was tested on {images} {groups} from {data.spec}{split}{bad}."


def _clean(results: Results) -> str:
    accuracy, masks = results.clean.accuracy, mask_clean(results)
    if masks is not None:
        return masks
    if accuracy.n == 1 and accuracy.value is not None:
        return f"Without any attack it is {'right' if hits(accuracy) else 'wrong'} on it."
    return f"Without any attack it is right on {counted(accuracy)} images: {share(accuracy)}."


def _amount(point: CurvePoint, results: Results) -> str:
    size, data = size_text(point.budget), results.data
    if point.norm == "linf":
        text = grey_text(point.eps, data)
        if data.unit == "grey level":
            text = f"{'' if text.startswith('one') else 'at most '}{text} out of {data.levels}"
        else:
            text = f"at most {text}"
        held = "can hold" if _storable(point, results) else "cannot hold"
        return f"A change of {text}, which {depth_text(data)} {held},"
    return {
        "l2": f"A change of Euclidean length {size} at most (l2)",
        "l1": f"A change whose absolute values sum to {size} at most (l1)",
        "l0": f"Changing at most {size} of the pixels (l0)",
    }.get(point.norm, "A change of any size")


def _flips(point: CurvePoint, results: Results) -> list[str]:
    rate = _judged(point, results)
    if rate.value is None:
        return ["No image was right before the attack, so there was nothing to flip."]
    count = hits(rate)
    number = f"flips {counted(rate)} images" if count else f"flips none of the {whole(rate.n)} images"
    if rate.n == 1:
        number = f"{'flips' if count else 'does not flip'} the one image"
    stored = _storable(point, results)
    said = [f"{_amount(point, results)} {number} that the model had right: {share(rate)}."]
    if stored and point.success_rate.value is not None and hits(point.success_rate) != count:
        said.append(f"Held in full precision and not rounded for storage, it flips {counted(point.success_rate)}.")
    if not stored and point.success_rate_stored.value is not None:
        said.append(f"Rounded to what can be stored, it flips {counted(point.success_rate_stored)}.")
    return said + _half(point, results) + _noise(point, results)


def _half(point: CurvePoint, results: Results) -> list[str]:
    for item in results.sensitivity:
        if item.norm == point.norm and item.stored == _storable(point, results) and item.largest_tried is not None:
            one = item.n_correct == 1
            if item.quartiles[1] is None:
                largest = absolute_text(item.norm, item.largest_tried, results.data)
                few = "It does not flip" if one else "Less than half of the images that were right flip"
                return [f"{few} at up to {largest}, the largest size tried."]
            half = absolute_text(item.norm, item.quartiles[1], results.data)
            return [f"{'It flips' if one else 'Half of the images that were right flip'} at {half} or less."]
    return []


def _noise(point: CurvePoint, results: Results) -> list[str]:
    for other in results.curves:
        if is_control(other.attack) and (other.norm, other.budget) == (point.norm, point.budget):
            if other.success_rate_stored.value is None:
                return []
            count = hits(other.success_rate_stored)
            if other.success_rate_stored.n == 1:
                return [f"Random noise of the same size {'flips it too' if count else 'does not flip it'}."]
            return [f"Random noise of the same size flips {count or 'none'} of {other.success_rate_stored.n}."]
    return []


def _facts(point: CurvePoint | None, results: Results) -> list[tuple[str, str]]:
    facts = [("Right without attack", counted_share(results.clean.accuracy))]
    if point is not None:
        facts += [
            (f"Still right under {point.budget}, as stored", share(point.robust_accuracy_stored)),
            (f"Still right under {point.budget}, as float", share(point.robust_accuracy)),
            ("Flipped, as float", counted_share(point.success_rate)),
        ]
    return facts


def requirement_lines(results: Results) -> list[tuple[str, str, str]]:
    """The user's own limits: state (``met``, ``not met``, ``not judged``), what was asked, the numbers behind it."""
    lines = []
    for item in results.requirements:
        passed = item.get("passed")
        state = "not judged" if passed is None else "met" if passed else "not met"
        asked = next((str(item[key]) for key in ("text", "requirement", "name", "id") if item.get(key)), "requirement")
        rest = {k: v for k, v in item.items() if k not in ("passed", "text", "requirement", "name", "id")}
        lines.append((state, asked, "; ".join(f"{key} {_short(value)}" for key, value in rest.items())))
    return lines


def _short(value: object) -> str:
    return plain(value) if isinstance(value, float) else str(value)
