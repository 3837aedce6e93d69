"""What explanations carry from the arrays to the pictures: a landscape of the loss, points of a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from percuss.core.results import Interval

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Landscape:
    """The loss on a plane through the weights of a model.

    Attributes:
        kind: ``trajectory`` (first two principal components of the weights' way) or ``random`` (filter-normalised).
        across, up: places of the columns and rows of ``loss``, ascending, ``[W]`` and ``[H]``; 0 is the final model.
        loss: mean cross-entropy, ``[H, W]``; NaN where it is not finite.
        path: the weights' way in the plane, ``[T, 2]`` (across, up), oldest first; empty for ``random``.
        path_loss: loss at the true weights of the way (not of their shadows on the plane), ``[T]``.
        shares: share of the way's variance along both directions; empty for ``random``.
    """

    kind: str
    across: Floats
    up: Floats
    loss: Floats
    path: Floats
    path_loss: Floats
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Dots:
    """Points of one kind in a plane, ``[N, 2]``: ``style`` is a colour of the style sheet (a0 to a5), ``shape`` is
    disc, ring or cross, ``tips`` say each point in words.
    """

    name: str
    style: str
    places: Floats
    tips: tuple[str, ...]
    shape: Literal["disc", "ring", "cross"] = "disc"


@dataclass(frozen=True)
class Moved:
    """How far maps move, of one kind of map and one measure: mean over images, each with its interval.

    Attributes:
        kind: ``saliency``, ``gradcam`` or ``perturbation`` (the edges of the clean image against the change).
        measure: ``rank``, ``overlap`` or ``shift``.
        attack: clean map against the attacked image's.
        noise: clean map against that of the same image with noise of the attack's size.
        difference: attack less noise, paired by image.
    """

    kind: str
    measure: str
    attack: Interval
    noise: Interval
    difference: Interval


@dataclass(frozen=True)
class MapCase:
    """One image with its maps: pixels ``[C, H, W]`` in [0, 1], and per kind the maps ``[H, W]`` before the attack,
    after it, and under noise of its size.
    """

    id: str
    title: str
    clean: NDArray[Any]
    attacked: NDArray[Any]
    maps: dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
