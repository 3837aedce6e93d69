"""Nuclei of five types: size, shape, chromatin and membrane, drawn as instances over a patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from percuss.data.tissue.fields import Frame, smooth_noise
from percuss.data.tissue.stains import Floats

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]
#: Channels of a nuclei mask, in PanNuke's order.
CHANNELS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial", "background")
NEOPLASTIC, INFLAMMATORY, CONNECTIVE, DEAD, EPITHELIAL, BACKGROUND = range(6)


@dataclass(frozen=True)
class Kind:
    """What the nuclei of one type look like.

    Attributes:
        radius: of the circle of equal area in micrometres, mean and relative deviation.
        aspect: lowest and highest ratio of length to width.
        irregular: size of the outline's waves, relative to the radius.
        amount: haematoxylin (optical density), mean and deviation.
        fine, coarse: contrast of chromatin in grains of 0.6 and 1.5 micrometres.
        rim: extra haematoxylin along the membrane, relative.
        nucleoli: mean number of nucleoli.
    """

    radius: tuple[float, float]
    aspect: tuple[float, float]
    irregular: float
    amount: tuple[float, float]
    fine: float
    coarse: float
    rim: float
    nucleoli: float


KINDS = (
    Kind((5.3, 0.17), (1.0, 1.55), 0.075, (0.47, 0.10), 0.14, 0.24, 0.40, 1.3),
    Kind((3.2, 0.09), (1.0, 1.18), 0.035, (0.82, 0.09), 0.10, 0.17, 0.08, 0.0),
    Kind((3.0, 0.16), (2.4, 4.6), 0.060, (0.58, 0.09), 0.10, 0.10, 0.10, 0.0),
    Kind((2.3, 0.22), (1.0, 1.40), 0.130, (1.10, 0.12), 0.03, 0.03, 0.00, 0.0),
    Kind((3.7, 0.08), (1.15, 1.7), 0.030, (0.52, 0.06), 0.11, 0.10, 0.25, 0.2),
)


@dataclass(frozen=True)
class Nuclei:
    """Nuclei as columns of equal length: centres ``[N, 2]`` in micrometres, type, direction, and looks."""

    centres: Floats
    kind: Ints
    angle: Floats
    length: Floats
    width: Floats
    waves: Floats
    amount: Floats
    spots: Floats

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class Painted:
    """Nuclei on pixels: id of the nucleus (0 none), share of the pixel covered, haematoxylin there."""

    instance: Ints
    cover: Floats
    haematoxylin: Floats


def draw_nuclei(rng: np.random.Generator, centres: Floats, kind: Ints, *, angle: Floats, grade: float = 1.0) -> Nuclei:
    """Nuclei at the given centres with drawn looks; those that would lie on another are left out.

    Args:
        rng: the patch's generator.
        centres: ``[N, 2]`` in micrometres; earlier ones have precedence.
        kind: channel of each, 0 to 4.
        angle: direction of the long axis in radians.
        grade: factor on the irregularity of neoplastic nuclei, about 0.6 to 1.5.
    """
    table = np.array([(*k.radius, *k.aspect, k.irregular, *k.amount, k.nucleoli) for k in KINDS])[kind]
    count = len(kind)
    wild = np.where(kind == NEOPLASTIC, grade, 1.0)
    radius = table[:, 0] * np.exp(rng.normal(0, 1, count) * table[:, 1] * wild)
    root = np.sqrt(table[:, 2] + rng.random(count) * (table[:, 3] - table[:, 2]))
    phases = np.exp(1j * rng.uniform(0, 2 * np.pi, (count, 3)))
    waves = rng.normal(0, 1, (count, 3)) * (table[:, 4] * wild)[:, None] * [0.8, 0.8, 0.5] * phases
    amount = np.maximum(table[:, 5] + rng.normal(0, 1, count) * table[:, 6] * wild, 0.25)
    spots = np.concatenate([rng.uniform(-0.5, 0.5, (count, 3, 2)), rng.uniform(0.7, 1.3, (count, 3, 1))], 2)
    spots[..., 2] *= np.arange(3) < rng.poisson(table[:, 7])[:, None]
    keep = _apart(centres, radius * np.minimum(root, 1.15))
    return Nuclei(
        centres[keep], kind[keep], angle[keep], (radius * root)[keep], (radius / root)[keep], waves[keep],
        amount[keep], spots[keep],
    )  # fmt: skip


def _apart(centres: Floats, radius: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which centres stay when each too near an earlier one that stays is dropped; touching is allowed."""
    keep = np.ones(len(centres), bool)
    if len(centres) < 2:
        return keep
    pairs = cKDTree(centres).query_pairs(2 * float(radius.max()), output_type="ndarray")
    gap = np.linalg.norm(centres[pairs[:, 0]] - centres[pairs[:, 1]], axis=1)
    pairs = np.sort(pairs[gap < 0.88 * radius[pairs].sum(1)], axis=1)
    for first, later in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist():
        if keep[first]:
            keep[later] = False
    return keep


def paint(rng: np.random.Generator, frame: Frame, nuclei: Nuclei) -> Painted:
    """Draw every nucleus; where two overlap the earlier lies on top."""
    instance, owner = np.zeros(frame.shape, np.int32), np.zeros(frame.shape, np.int32)
    cover, depth, spot = (np.zeros(frame.shape, np.float32) for _ in range(3))
    half = np.ceil(nuclei.length * 1.3 / frame.mpp).astype(int) + 1
    for size in np.unique(half):
        members = np.flatnonzero(half == size)
        for part in np.array_split(members, max(1, len(members) * size * size // 100_000)):
            _stamp(frame, nuclei, part, size=int(size), layers=(instance, owner, cover, depth, spot))
    kind = nuclei.kind[owner - 1] if len(nuclei) else np.zeros(frame.shape, int)
    looks = np.array([(k.fine, k.coarse, k.rim) for k in KINDS], np.float32)[kind]
    amount = nuclei.amount[owner - 1].astype(np.float32) if len(nuclei) else cover
    fine, coarse = smooth_noise(rng, frame, 0.6), smooth_noise(rng, frame, 1.5)
    chromatin = 1 + looks[..., 0] * fine + looks[..., 1] * coarse
    # A vesicular nucleus is clear inside and dark along its membrane.
    rim = looks[..., 2] * (1.6 * np.exp(-(((1 - depth) / 0.16) ** 2)) - 0.35)
    haematoxylin = amount * np.maximum(chromatin + rim + spot, 0.25)
    return Painted(instance, cover, np.where(owner > 0, haematoxylin, 0))


def _stamp(frame: Frame, nuclei: Nuclei, part: Ints, *, size: int, layers: tuple[Any, ...]) -> None:
    """Draw some nuclei with windows of ``2 size + 1`` pixels; ``layers`` are instance, owner, cover, depth, spot."""
    middle = np.floor(nuclei.centres[part] / frame.mpp).astype(int)
    steps = (np.arange(-size, size + 1) + 0.5).astype(np.float32) * np.float32(frame.mpp)
    rest = (nuclei.centres[part] - middle * frame.mpp).astype(np.float32)
    down = (steps[None] - rest[:, :1])[:, :, None]
    right = (steps[None] - rest[:, 1:])[:, None, :]
    angle = nuclei.angle[part].astype(np.float32)[:, None, None]
    long, short = (value[part].astype(np.float32)[:, None, None] for value in (nuclei.length, nuclei.width))
    u = (right * np.cos(angle) + down * np.sin(angle)) / long
    v = (down * np.cos(angle) - right * np.sin(angle)) / short
    z = u + 1j * v
    radius = np.abs(z)
    turn = z / np.maximum(radius, 1e-3)
    waves = nuclei.waves[part].astype(np.complex64)[:, :, None, None]
    square = turn * turn
    outline = 1 + (waves[:, 0] * square + waves[:, 1] * square * turn + waves[:, 2] * square * square).real
    rho = radius / np.maximum(outline, 0.4)
    cover = np.clip((1 - rho) * np.sqrt(long * short) / np.float32(frame.mpp) + 0.5, 0, 1)
    dark = _spots(nuclei.spots[part], u, v, np.sqrt(long * short))
    for row, number in enumerate(part):
        _lay(layers, (cover[row], rho[row], dark[row]), middle[row] - size, number=int(number) + 1)


def _spots(spots: Floats, u: Floats, v: Floats, scale: Floats) -> Floats:
    dark = np.zeros_like(u)
    for index in range(3):
        down, right, strength = (spots[:, index, i].astype(np.float32)[:, None, None] for i in range(3))
        if not strength.any():
            continue
        far = ((u - right) ** 2 + (v - down) ** 2) * (scale / 0.95) ** 2
        dark = np.maximum(dark, 0.85 * strength * np.exp(-(far**1.5)))
    return dark


def _lay(layers: tuple[Any, ...], window: tuple[Floats, Floats, Floats], corner: Ints, *, number: int) -> None:
    """Copy one nucleus into the layers where nothing lies yet; the mask takes pixels covered by half or more."""
    height, width = layers[0].shape
    side = window[0].shape[0]
    top, left = int(corner[0]), int(corner[1])
    rows, columns = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    cut = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    cover, rho, spot = (layer[cut] for layer in window)
    instance, owner, *rest = (layer[rows, columns] for layer in layers)
    free = (instance == 0) & (cover > rest[0])
    # Pixels covered by less than half are tinted but stay background in the mask.
    instance[free & (cover >= 0.5)] = number
    owner[free] = number
    for target, source in zip(rest, (cover, rho, spot), strict=True):
        np.copyto(target, source, where=free)
