"""Norm and size of a change, in one definite meaning, parsed from and printed as text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from percuss.core.errors import BudgetError, nearest
from percuss.core.pixel_range import PixelRange


class Norm(StrEnum):
    """How a change is measured, over the values of one image in [0, 1] units."""

    LINF = "linf"
    L2 = "l2"
    L1 = "l1"
    L0 = "l0"
    NONE = "none"


#: Suffixes and prefixes a size may carry, per norm, beside the bare number.
_FORMS = {
    Norm.LINF: "a number or fraction in [0, 1] units (2/255), or native units (2grey, 10HU)",
    Norm.L2: "a Euclidean length in [0, 1] units (0.5), or rms:SIZE",
    Norm.L1: "a sum of absolute changes in [0, 1] units (10), or mad:SIZE",
    Norm.L0: "a share of pixels (20% or 0.2)",
}
_EXAMPLES = "write for instance linf=2/255, l2=0.5, l1=10, l0=5% or none"
_RANGE = re.compile(r"^(?P<measure>rms:|mad:)?(?P<low>[0-9.eE+-]+[^:]*):(?P<high>[0-9.eE+-]+[^:]*):(?P<count>\d+)$")
_TAIL = re.compile(r"^([0-9.]+(?:[eE][+-]?[0-9]+)?)(.*)$")
_NUMBER = re.compile(r"^(?P<top>[0-9.eE+-]+)(?:/(?P<bottom>[0-9.eE+]+))?(?P<suffix>%|grey|HU)?$")


@dataclass(frozen=True)
class Budget:
    """A norm and a size as the user gave it.

    Attributes:
        norm: how the change is measured.
        value: the size in its own ``unit``; ``inf`` for ``none``.
        unit: ``unit`` ([0, 1] values), ``rms``, ``mad``, ``share``, ``grey`` or ``HU``.
        text: the text it was given as, printed back in reports.
    """

    norm: Norm
    value: float
    unit: str
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def size_text(self) -> str:
        """The size without the norm: ``2/255``, ``20%``; empty for ``none``."""
        return self.text.partition("=")[2]

    def eps(self, shape: Sequence[int], pixels: PixelRange | None = None) -> float:
        """The size in the norm's own absolute measure for images ``[channels, height, width]``.

        linf, l2, l1: in [0, 1] units; l0: share of pixels; none: infinity. ``pixels`` is needed for native units.
        """
        values = math.prod(shape)
        if self.unit == "rms":
            return self.value * math.sqrt(values)
        if self.unit == "mad":
            return self.value * values
        if self.unit in ("grey", "HU"):
            return self.value / self._native_span(pixels)
        return self.value

    def _native_span(self, pixels: PixelRange | None) -> float:
        wanted = {"grey": "grey level", "HU": "HU"}[self.unit]
        if pixels is None or pixels.unit != wanted:
            found = "unknown" if pixels is None else pixels.unit
            raise BudgetError(
                f"budget {self.text} needs images in {wanted}",
                value=found,
                next_step="give the size in [0, 1] units, for instance linf=2/255",
            )
        return pixels.span


def parse_budget(text: str) -> Budget:
    """One budget: ``linf=2/255``, ``linf=10HU``, ``l2=rms:0.01``, ``l1=mad:0.5/255``, ``l0=20%``, ``none``."""
    name, _, size = text.strip().partition("=")
    norm = _norm(name)
    if norm is Norm.NONE:
        if size:
            raise BudgetError("the norm none takes no size", value=text, next_step="write just none")
        return Budget(norm, math.inf, "unit", "none")
    measure, colon, number = size.rpartition(":")
    allowed_measure = {Norm.L2: "rms", Norm.L1: "mad"}.get(norm)
    if colon and measure != allowed_measure:
        step = (
            f"for several sizes write --curve {name}=FROM:TO:NUMBER, such as {name}=0.25/255:8/255:8; else {_EXAMPLES}"
        )
        raise BudgetError(f"unknown measure in {text}", value=measure, allowed=_FORMS[norm], next_step=step)
    match = _NUMBER.match(number.strip())
    if match is None:
        raise BudgetError(
            f"the size in {text!r} is not a number", value=size or "nothing", allowed=_FORMS[norm], next_step=_EXAMPLES
        )
    value, suffix = _value(match, text), match["suffix"]
    unit = "share" if norm is Norm.L0 else measure or suffix or "unit"
    if suffix == "%":
        value /= 100
    if (suffix and (suffix == "%") != (norm is Norm.L0)) or (suffix in ("grey", "HU") and norm is not Norm.LINF):
        raise BudgetError(
            f"the unit {suffix} does not fit the norm {norm}", value=text, allowed=_FORMS[norm], next_step=_EXAMPLES
        )
    _check_size(norm, unit, value, text=text)
    return Budget(norm, value, unit, f"{norm}={size.strip()}")


def parse_budgets(text: str) -> list[Budget]:
    """Several sizes of one norm: ``linf=1/255,2/255``, or from, to and number in equal ratios:
    ``linf=0.25/255:8/255:8``; a list, smallest first, without repeats.
    """
    name, equals, sizes = text.strip().partition("=")
    if not equals:
        return [parse_budget(name)]
    if "=" in sizes:
        raise BudgetError(
            "several norms or equal signs in one list of sizes",
            value=text,
            allowed=f"one norm and its sizes: {name.strip()}={sizes.partition(',')[0]},...",
            next_step="give sizes of another norm as a list of their own",
        )
    texts = [text for size in sizes.split(",") for text in _spread(size.strip())]
    found = {parse_budget(f"{name}={size}") for size in texts}
    return sorted(found, key=lambda budget: (budget.unit, budget.value))


def _spread(size: str) -> list[str]:
    """A size as it is; ``FROM:TO:NUMBER``, perhaps behind ``rms:`` or ``mad:``, as that many sizes in equal ratios."""
    match = _RANGE.match(size)
    if match is None:
        return [size]
    (low, tail), (high, other) = (_TAIL.match(match[key]).groups() for key in ("low", "high"))  # type: ignore[union-attr]
    count = int(match["count"])
    if tail != other or not 2 <= count <= 1000 or not 0 < float(low) < float(high):
        raise BudgetError(
            "a range of sizes cannot be used",
            value=size,
            allowed="FROM:TO:NUMBER, FROM below TO, both in the same unit, NUMBER from 2 to 1000",
            next_step="write for instance linf=0.25/255:8/255:8",
        )
    ratio = (float(high) / float(low)) ** (1 / (count - 1))
    middle = [f"{float(low) * ratio**i:.4g}" for i in range(1, count - 1)]
    return [f"{match['measure'] or ''}{number}{tail}" for number in (low, *middle, high)]


def _norm(name: str) -> Norm:
    cleaned = name.strip().lower()
    try:
        return Norm(cleaned)
    except ValueError:
        raise BudgetError(
            "unknown norm",
            value=name,
            allowed=nearest(cleaned, [norm.value for norm in Norm]),
            next_step=_EXAMPLES,
        ) from None


def _value(match: re.Match[str], text: str) -> float:
    try:
        value = float(match["top"])
        if match["bottom"]:
            value /= float(match["bottom"])
    except (ValueError, ZeroDivisionError):
        raise BudgetError("the size is not a number", value=text, next_step=_EXAMPLES) from None
    return value


def _check_size(norm: Norm, unit: str, value: float, *, text: str) -> None:
    if not math.isfinite(value) or value <= 0:
        raise BudgetError(
            "a budget must be a finite size above zero", value=text, allowed=_FORMS[norm], next_step=_EXAMPLES
        )
    if value > 1 and (unit in ("share", "rms", "mad") or (norm is Norm.LINF and unit == "unit")):
        small = norm is Norm.LINF and "/" not in text and value <= 255
        hint = f"{norm}={value:g}/255" if small else "a size of at most 1 (or 100%)"
        raise BudgetError(
            "the budget is larger than the whole range of the pixels",
            value=text,
            allowed=_FORMS[norm],
            next_step=f"did you mean {hint}?",
        )
