"""What grows where: stroma, tumour nests, glands, lymphoid tissue, fat, glass and necrosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from percuss.data.tissue.fields import Fibres, Frame, Lattice, Nearest, fibres, lattice, nearest, smooth_noise
from percuss.data.tissue.stains import Floats

COMPARTMENTS = ("stroma", "nest", "gland", "lymphoid", "fat", "glass", "necrosis")
STROMA, NEST, GLAND, LYMPHOID, FAT, GLASS, NECROSIS = range(7)
_FAR = -9.0

#: Which compartments a normal patch leans to: kind of patch, how often, bias of each compartment.
_NORMAL = (
    (0.20, {"stroma": 1.0, "lymphoid": -0.9, "fat": -1.2, "gland": -1.0}),
    (0.32, {"gland": 1.6, "stroma": 0.0, "lymphoid": -0.9}),
    (0.24, {"lymphoid": 1.1, "stroma": 0.1, "fat": -1.0}),
    (0.10, {"fat": 0.9, "stroma": 0.3, "lymphoid": -0.8}),
    (0.07, {"stroma": 0.3, "glass": 0.2, "gland": 0.0}),
    (0.07, {"necrosis": 0.7, "stroma": 0.3, "lymphoid": -0.2}),
)


@dataclass(frozen=True)
class Plan:
    """What a patch shall hold.

    Attributes:
        bias: lean towards each compartment, about -2 to 2; those not named are absent.
        scale_um: size of the compartments.
        nest: pull of tumour towards a point (row, column in shares of the frame), None without.
        lumens: tumour cells surround holes (a glandular tumour) instead of growing solid.
        infiltrate: share of places in stroma that hold an inflammatory nucleus.
        grade: irregularity of the neoplastic nuclei, about 0.6 to 1.5.
    """

    bias: Mapping[str, float]
    scale_um: float = 42.0
    nest: tuple[float, float] | None = None
    lumens: bool = False
    infiltrate: float = 0.2
    grade: float = 1.0


@dataclass(frozen=True)
class Layout:
    """Compartments of a patch.

    Attributes:
        weights: share of each compartment at each pixel, ``[7, height, width]``.
        where: the strongest compartment, ``[height, width]``.
        fibres: the stroma's fibres.
        cells, fat, glands: centres with the distances of every pixel to them; None where not needed.
        holes: 1 inside a lumen of a glandular tumour, ``[height, width]``.
    """

    weights: Floats
    where: np.ndarray[Any, np.dtype[np.int8]]
    fibres: Fibres
    cells: tuple[Lattice, Nearest] | None
    fat: tuple[Lattice, Nearest] | None
    glands: tuple[Lattice, Nearest] | None
    holes: Floats


def draw_plan(rng: np.random.Generator, *, tumour: bool, grade: float = 1.0) -> Plan:
    """A plan for a patch with or without tumour; everything but the nests is drawn alike for both."""
    share = np.array([row[0] for row in _NORMAL])
    bias = dict(_NORMAL[int(rng.choice(len(_NORMAL), p=share / share.sum()))][1])
    nest = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))) if tumour else None
    if tumour:
        bias["nest"] = float(rng.uniform(0.4, 2.2))
        bias["necrosis"] = bias.get("necrosis", float(rng.choice([_FAR, -0.8])))
    return Plan(
        MappingProxyType(bias),
        scale_um=float(rng.uniform(32, 52)),
        nest=nest,
        lumens=bool(rng.random() < 0.35),
        infiltrate=float(rng.choice([0.05, 0.2, 0.45])),
        grade=grade * float(np.exp(rng.normal(0, 0.12))),
    )


def draw_layout(
    rng: np.random.Generator, frame: Frame, plan: Plan, *, pull: Mapping[str, Floats] | None = None
) -> Layout:
    """Fill the frame with compartments.

    Args:
        rng: the patch's generator.
        frame: what to fill.
        plan: what it shall hold.
        pull: added to the bias of a compartment at each pixel, ``[height, width]``, for a slide with a drawn tumour.
    """
    scores = np.full((len(COMPARTMENTS), *frame.shape), _FAR, np.float32)
    for name, lean in plan.bias.items():
        scores[COMPARTMENTS.index(name)] = lean + 0.75 * smooth_noise(rng, frame, plan.scale_um)
    if plan.nest is not None:
        rows, columns = frame.axes()
        far = (rows - plan.nest[0] * frame.extent[0]) ** 2 + (columns - plan.nest[1] * frame.extent[1]) ** 2
        scores[NEST] += 1.8 * np.exp(-far / (2 * 20.0**2))
    for name, added in (pull or {}).items():
        scores[COMPARTMENTS.index(name)] += added
    # A little fine noise frays the borders.
    scores[STROMA] += 0.10 * smooth_noise(rng, frame, 5)
    weights = np.exp(22 * (scores - scores.max(0)))
    weights /= weights.sum(0)
    present = weights.max((1, 2)) > 0.02

    def centres(index: int, spacing: float, jitter: float) -> tuple[Lattice, Nearest] | None:
        if not present[index]:
            return None
        found = lattice(rng, frame, spacing, jitter=jitter)
        return found, nearest(found, frame)

    holes = np.zeros(frame.shape, np.float32)
    if plan.lumens and present[NEST]:
        holes = 1 / (1 + np.exp(-7 * (smooth_noise(rng, frame, 13) - 1.35)))
    where = weights.argmax(0).astype(np.int8)
    return Layout(
        weights, where, fibres(rng, frame), centres(NEST, 11.6, 0.85), centres(FAT, 62, 0.6),
        centres(GLAND, 58, 0.35), holes,
    )  # fmt: skip


def gland_radii(glands: Lattice) -> tuple[Floats, Floats, Floats]:
    """Outer radius and lumen radius in micrometres, and phase of the oval, ``[rows, columns]`` each."""
    outer = 18 + 8 * glands.draws[..., 0]
    lumen = (outer - 12.5) * (0.45 + 0.55 * glands.draws[..., 1])
    return outer, lumen, 2 * np.pi * glands.draws[..., 2]


def oval(phase: Floats, angle: Floats) -> Floats:
    """Factor on a gland's radius in the direction ``angle``."""
    found: Floats = 1 + 0.12 * np.cos(2 * angle - phase) + 0.04 * np.cos(3 * angle + 2 * phase)
    return found
