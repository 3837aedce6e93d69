"""What the opening of the report says of class maps: mean Dice before and after, and what counts as flipped."""

from __future__ import annotations

from percuss.core.results import CurvePoint, DensePoint, Results
from percuss.report.curves import WORST
from percuss.report.numbers import counted, decimal, percent, share, whole


def dense_at(results: Results, point: CurvePoint, *, stored: bool) -> DensePoint | None:
    """The worst case of the masks at the size of a point of the curves; None where there is none."""
    key = (WORST, point.norm, point.budget, stored)
    found = results.dense.points if results.dense else []
    return next((item for item in found if (item.attack, item.norm, item.budget, item.stored) == key), None)


def mask_number(results: Results, point: CurvePoint, *, stored: bool) -> tuple[str, str] | None:
    """The big number and the line below it: mean Dice before and after, with intervals; None without masks."""
    found, dense = dense_at(results, point, stored=stored), results.dense
    if found is None or dense is None or found.dice.value is None or dense.clean.dice.value is None:
        return None
    before, after = decimal(dense.clean.dice), decimal(found.dice)
    rate = point.success_rate_stored if stored else point.success_rate
    state = "as stored" if stored else "as float"
    flips = f"; {counted(rate)} images flipped, {share(rate)}" if rate.value is not None else ""
    small = f"mean Dice of an image without attack and under {point.budget}, {state}: {before} and {after}{flips}"
    return f"{dense.clean.dice.value:.2f} → {found.dice.value:.2f}", small


def mask_clean(results: Results) -> str | None:
    """The sentence on the model without attack; None for other tasks than class maps."""
    dense = results.dense
    if dense is None:
        return None
    clean, right = dense.clean, results.clean.accuracy
    reach = "reaches" if right.n == 1 else "reach"
    return (
        f"Without any attack the mean Dice of an image is {decimal(clean.dice)}, and {counted(right)} images {reach} "
        f"{dense.bar:g}, which counts as right here; {percent(clean.pixel_accuracy.value, clean.pixel_accuracy.n)} of "
        f"the pixels are decided rightly, where {dense.background} everywhere would reach "
        f"{percent(clean.floor.value, clean.floor.n)}."
    )


def mask_sentences(results: Results, point: CurvePoint, *, stored: bool) -> list[str]:
    """What is said of the masks at one size, before the images that were flipped."""
    found, dense = dense_at(results, point, stored=stored), results.dense
    if found is None or dense is None:
        return []
    images = "image" if results.data.n_images == 1 else f"{whole(results.data.n_images)} images"
    used = ""
    if point.norm == "none" and found.linf.value is not None:
        used = f" (changes reach {percent(found.linf.value)} of the range of values, mean over images)"
    return [
        f"Under {point.budget}, {'as stored' if stored else 'as float'}{used}, the mean Dice over the {images} is "
        f"{decimal(found.dice)} and {percent(found.pixel_accuracy.value, found.pixel_accuracy.n)} of the pixels are "
        "right.",
        f"“Flipped” means that the mean Dice of an image, over the classes that it holds, was at least {dense.bar:g} "
        "before and is below it after.",
    ]
