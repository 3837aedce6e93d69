"""Numbers as the report prints them: counts, percentages with intervals, sizes as given and in grey levels."""

from __future__ import annotations

import math

from percuss.core.images import DENSE
from percuss.core.results import DataRecord, Interval

NBSP = "\u00a0"
UNDEFINED = "not defined"
NORM_WORDS = {
    "linf": "largest change of any value",
    "l2": "Euclidean length of the change",
    "l1": "sum of absolute changes",
    "l0": "share of pixels changed",
    "none": "no limit on the size",
}


def percent(value: float | None, n: int = 100, *, sign: bool = True) -> str:
    """A share in [0, 1] as per cent: one decimal from 20 images on, none below; ``not defined`` for None."""
    if value is None or math.isnan(value):
        return UNDEFINED
    hundred = 100 * value
    digits = 0 if n < 20 or hundred in (0.0, 100.0) else 1
    return f"{hundred:.{digits}f}" + (f"{NBSP}%" if sign else "")


def bracket(interval: Interval) -> str:
    """The 95 % interval of a share as ``[91.2, 98.9]`` in per cent; empty where undefined."""
    if interval.low is None or interval.high is None:
        return ""
    ends = [percent(end, interval.n, sign=False) for end in (interval.low, interval.high)]
    return f"[{ends[0]},{NBSP}{ends[1]}]"


def share(interval: Interval) -> str:
    """A share with its interval: ``96.9 % [91.2, 98.9]``."""
    return f"{percent(interval.value, interval.n)} {bracket(interval)}".strip()


def hits(interval: Interval) -> int:
    """How many images stand behind a share."""
    return 0 if interval.value is None else round(interval.value * interval.n)


def counted(interval: Interval) -> str:
    """A share as ``93 of 96``; a dash where nothing could be counted."""
    return "–" if interval.value is None else f"{hits(interval):,} of {interval.n:,}".replace(",", NBSP)


def counted_share(interval: Interval) -> str:
    """``93 of 96; 96.9 % [91.2, 98.9]``."""
    return UNDEFINED if interval.value is None else f"{counted(interval)}; {share(interval)}"


def decimal(interval: Interval, digits: int = 3, *, signed: bool = False) -> str:
    """A plain number with its interval: ``0.987 [0.961, 0.998]``."""
    if interval.value is None:
        return UNDEFINED
    form = f"{'+' if signed else ''}.{digits}f"
    text = format(interval.value, form)
    if interval.low is not None and interval.high is not None:
        text += f" [{interval.low:{form}},{NBSP}{interval.high:{form}}]"
    return text.replace("-", "−")


def bracket_plain(interval: Interval, *, signed: bool = False) -> str:
    """A size with its interval, three significant digits each: ``0.00213 [0.00184, 0.00251]``."""
    if interval.value is None:
        return UNDEFINED
    sign = "+" if signed else ""
    ends = [] if interval.low is None or interval.high is None else [interval.low, interval.high]
    text = f"{interval.value:{sign}.3g}" + (f" [{ends[0]:{sign}.3g},{NBSP}{ends[1]:{sign}.3g}]" if ends else "")
    return text.replace("-", "−")


def plain(value: float | None) -> str:
    """A size with three significant digits, without exponent where it can be avoided."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.3g}"
    if "e" in text and 1e-5 < abs(value) < 1e7:
        text = f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.0f}"
    return text


def whole(value: int) -> str:
    """An integer with thin groups of three from 10 000 on."""
    return f"{value:,}".replace(",", NBSP) if value >= 10_000 else str(value)


def size_text(budget: str) -> str:
    """The size part of a budget: ``2/255`` of ``linf=2/255``; ``any size`` for none."""
    return budget.partition("=")[2] or "any size"


def grey(eps: float | None, data: DataRecord) -> float | None:
    """A linf size in stored steps (grey levels, HU); None where there is no size."""
    return None if eps is None or not math.isfinite(eps) else eps * data.levels


def native(eps: float | None, data: DataRecord) -> float | None:
    """A linf size in the native unit (grey levels, HU), where a step need not be one unit; None without a size."""
    steps = grey(eps, data)
    return steps if steps is None or data.window is None else steps * (data.window[1] - data.window[0]) / data.levels


def grey_text(eps: float | None, data: DataRecord) -> str:
    """A linf size in the native unit, in words for one grey level."""
    steps = native(eps, data)
    if steps is None:
        return "–"
    one = abs(steps - 1) < 1e-6
    if data.unit == "grey level":
        return "one grey level" if one else f"{plain(steps)}{NBSP}grey levels"
    return f"{plain(steps)}{NBSP}{data.unit}"


def absolute_text(norm: str, eps: float | None, data: DataRecord) -> str:
    """A size in the norm's own measure, for people: grey levels for linf, per cent of pixels for l0."""
    if eps is None or not math.isfinite(eps):
        return "any size" if norm == "none" else "–"
    if norm == "linf":
        return grey_text(eps, data)
    if norm == "l0":
        return f"{plain(100 * eps)}{NBSP}% of the pixels"
    return f"{ {'l2': 'length', 'l1': 'sum'}.get(norm, norm) } {plain(eps)}"


def visible_text(norm: str, eps: float | None, data: DataRecord) -> str:
    """A size in terms that can be pictured: of l2 the root mean square over all values, in the native unit."""
    if norm != "l2" or eps is None or not math.isfinite(eps):
        return absolute_text(norm, eps, data)
    return f"{grey_text(eps / math.sqrt(max(math.prod(data.shape), 1)), data)} rms"


def depth_text(data: DataRecord) -> str:
    """What a stored file can hold, in words: ``a saved 8-bit image``."""
    bits = math.log2(data.levels + 1) if data.levels > 0 else 0.0
    return f"a saved {bits:.0f}-bit image" if bits.is_integer() and bits > 0 else "a saved image of this depth"


def class_text(label: str, data: DataRecord) -> str:
    """A label as stored (class index, 0/1 text, or the classes of a map as ``0|2``) in class names."""
    names = data.classes
    if data.task in DENSE:
        parts = label.split("|")
        fine = all(part.isdigit() and int(part) < len(names) for part in parts)
        return ", ".join(names[int(part)] for part in parts) if fine else label or "nothing judged"
    if data.task == "multilabel":
        if len(label) != len(names) or set(label) - {"0", "1"}:
            return label
        return ", ".join(name for name, bit in zip(names, label, strict=True) if bit == "1") or "none of the labels"
    return names[int(label)] if label.isdigit() and int(label) < len(names) else label
