"""How small a change flips the images of a set, absolute and against the set's own contrast; sets beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.results import Interval

#: How the size of a change is told, by norm: both are in [0, 1] units of a single value, whatever the image's side.
MEASURES = {"linf": "largest change of any value", "l2": "root mean square of the change over all values"}


@dataclass(frozen=True)
class MedianSize:
    """The smallest change that flips half of the rightly decided images of a set.

    Attributes:
        norm: ``linf`` or ``l2``; ``measure``: a text of ``MEASURES``.
        absolute: median over images in [0, 1] units of a value; undefined where half of them were never flipped.
        relative: the same divided by the contrast of the set.
        n_censored: images that nothing flipped.
    """

    norm: str
    measure: str
    absolute: Interval
    relative: Interval
    n_censored: int


@dataclass(frozen=True)
class SetFragility:
    """One set under one model.

    Attributes:
        n, n_right: images, and those decided rightly, which alone count.
        accuracy: share of them.
        contrast: root of the mean variance of values within an image, in [0, 1] units.
        shape: channels, height, width.
        sizes: one per norm.
    """

    n: int
    n_right: int
    accuracy: Interval
    contrast: float
    shape: tuple[int, ...]
    sizes: tuple[MedianSize, ...]


@dataclass(frozen=True)
class Difference:
    """A set against a control, under one norm.

    Attributes:
        data, control, norm: which; ``measure``: a text of ``MEASURES``.
        absolute, relative: median of the set minus median of the control; below 0 the set is more fragile.
        answer: what that shows, in words.
    """

    data: str
    control: str
    norm: str
    measure: str
    absolute: Interval
    relative: Interval
    answer: str
