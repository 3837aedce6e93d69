"""A whole patch: tissue and nuclei as amounts of stain, the 8-bit image, and its exact masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from percuss.data.tissue.fields import Frame, smooth_noise
from percuss.data.tissue.layout import (
    FAT,
    GLAND,
    LYMPHOID,
    NECROSIS,
    NEST,
    STROMA,
    Layout,
    Plan,
    draw_layout,
    draw_plan,
    gland_radii,
    oval,
)
from percuss.data.tissue.nuclei import BACKGROUND, CHANNELS, NEOPLASTIC, Ints, Nuclei, paint
from percuss.data.tissue.placing import place_nuclei
from percuss.data.tissue.stains import Floats, Stain, colour

#: A patch is tumour from this many neoplastic nuclei on, and normal with none; nothing between is made.
TUMOUR_FROM = 5
#: Visible area in square micrometres from which a nucleus at the edge counts when a tumour patch is made.
_VISIBLE_UM2 = 20.0
_TRIES = 12
#: Rows of glands drawn at once.
_BAND = 256


@dataclass(frozen=True)
class Scene:
    """A finished patch.

    Attributes:
        pixels: ``[3, height, width]`` uint8.
        masks: ``[6, height, width]`` int32 in the order of ``CHANNELS``: the id of the nucleus in the channel of
            its type, 0 elsewhere; the last channel is 1 where there is no nucleus.
        layout: where the compartments lie.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    masks: np.ndarray[Any, np.dtype[np.int32]]
    layout: Layout


def make_patch(rng: np.random.Generator, frame: Frame, stain: Stain, *, tumour: bool, grade: float = 1.0) -> Scene:
    """A patch whose content is tumour (at least five neoplastic nuclei) or normal (none), as asked."""
    for attempt in range(_TRIES):
        plan = draw_plan(rng, tumour=tumour, grade=grade)
        if attempt >= _TRIES // 2 and tumour:
            plan = Plan({"nest": 3.0, "stroma": -1.0}, nest=(0.5, 0.5))
        layout = draw_layout(rng, frame, plan)
        nuclei = place_nuclei(rng, frame, layout, plan=plan)
        if not tumour or _likely(frame, nuclei) >= TUMOUR_FROM:
            scene = render(rng, frame, layout, nuclei=nuclei, stain=stain)
            if not tumour or _visible(scene.masks[NEOPLASTIC], frame.mpp) >= TUMOUR_FROM:
                return scene
    raise AssertionError("a field of 40 micrometres always holds a nest of five nuclei")


def render(rng: np.random.Generator, frame: Frame, layout: Layout, *, nuclei: Nuclei, stain: Stain) -> Scene:
    """Stain, light and scan a layout with its nuclei."""
    haematoxylin, eosin = ground(rng, frame, layout)
    painted = paint(rng, frame, nuclei)
    haematoxylin = haematoxylin * (1 - painted.cover) + painted.haematoxylin * painted.cover
    eosin = eosin * (1 - 0.3 * painted.cover) + 0.06 * painted.cover
    thickness = 1 + 0.06 * smooth_noise(rng, frame, 60)
    light = colour(haematoxylin * thickness, eosin * thickness, stain)
    sigma = stain.blur_um / frame.mpp
    light = ndimage.gaussian_filter(light, (0, sigma, sigma), truncate=3)
    grey = light * 255 + rng.standard_normal(light.shape, dtype=np.float32) * np.float32(stain.noise)
    return Scene(np.clip(np.rint(grey), 0, 255).astype(np.uint8), _masks(painted.instance, nuclei), layout)


def ground(rng: np.random.Generator, frame: Frame, layout: Layout) -> tuple[Floats, Floats]:
    """Amounts of haematoxylin and eosin of everything but nuclei, ``[height, width]`` each."""
    grain, cloud = smooth_noise(rng, frame, 1.1), smooth_noise(rng, frame, 5)
    stroma = _stroma(layout)
    haematoxylin, eosin = (np.zeros(frame.shape, np.float32) for _ in range(2))
    # One compartment after the other: all of them at once would be most of the memory of a slide.
    for index, (blue, pink) in _parts(frame, layout, stroma, noise=(grain, cloud)):
        haematoxylin = haematoxylin + layout.weights[index] * blue
        eosin = eosin + layout.weights[index] * pink
    return np.maximum(haematoxylin, 0), np.maximum(eosin, 0)


def _parts(
    frame: Frame, layout: Layout, stroma: Floats, *, noise: tuple[Floats, Floats]
) -> Iterator[tuple[int, tuple[Floats, Floats]]]:
    """Haematoxylin and eosin of each compartment, as if it were everywhere."""
    grain, cloud = noise
    yield STROMA, (0.03 + 0.06 * stroma, stroma)
    if layout.cells is not None:
        near = layout.cells[1]
        border = np.exp(-(((near.second - near.first) / 1.0) ** 2))
        full = 1 - layout.holes
        yield (
            NEST,
            (
                (0.13 + 0.03 * grain + 0.03 * cloud - 0.05 * border) * full,
                (0.21 + 0.04 * grain + 0.04 * cloud - 0.04 * border) * full,
            ),
        )
    if layout.glands is not None:
        yield GLAND, _gland(frame, layout, stroma, grain)
    if layout.fat is not None:
        near = layout.fat[1]
        wall = np.exp(-(((near.second - near.first + 1.3 * cloud) / 1.7) ** 2)) * (1 + 0.2 * grain)
        yield FAT, (0.03 * wall, 0.26 * wall)
    gaps = 1 / (1 + np.exp(-3 * (cloud + 0.9)))
    yield LYMPHOID, ((0.13 + 0.03 * grain) * gaps, (0.17 + 0.04 * grain) * gaps)
    yield NECROSIS, (0.07 + 0.03 * grain, 0.28 + 0.08 * grain + 0.06 * cloud)


def _stroma(layout: Layout) -> Floats:
    """Eosin of collagen: bundles and fibres with clear clefts between them."""
    bundles, fine = layout.fibres.bundles, layout.fibres.fine
    clefts = 1 / (1 + np.exp(-5 * (bundles + 0.35 * fine + 1.1)))
    found: Floats = np.maximum(0.20 + 0.055 * bundles + 0.045 * fine, 0.05) * clefts
    return found


def _gland(frame: Frame, layout: Layout, stroma: Floats, grain: Floats) -> tuple[Floats, Floats]:
    """Epithelium around a clear lumen, on a basement membrane, in stroma; some rows at a time, for the memory."""
    parts = [
        _gland_rows(frame, layout, (stroma, grain), slice(top, top + _BAND)) for top in range(0, frame.height, _BAND)
    ]
    blue, pink = (np.concatenate(side) for side in zip(*parts, strict=True))
    return blue, pink


def _gland_rows(frame: Frame, layout: Layout, ground: tuple[Floats, Floats], band: slice) -> tuple[Floats, Floats]:
    assert layout.glands is not None
    (cells, near), (stroma, grain) = layout.glands, ground
    rows, columns = frame.axes()
    first, home = near.first[band], (near.row[band], near.column[band])
    centre = cells.centres[home]
    angle = np.arctan2(rows[band] - centre[..., 0], columns - centre[..., 1])
    outer, lumen, phase = (value[home] for value in gland_radii(cells))
    shape = oval(phase, angle)
    inside = 1 / (1 + np.exp(2.5 * (first - outer * shape)))
    full = 1 / (1 + np.exp(-2.0 * (first - lumen * shape)))
    membrane = np.exp(-(((first - outer * shape - 0.6) / 0.9) ** 2))
    # The apical part of the cells is paler and pinker than the base.
    height = np.clip((first - lumen * shape) / np.maximum((outer - lumen) * shape, 1), 0, 1)
    body = (0.05 + 0.10 * height + 0.02 * grain[band]) * full, (0.19 + 0.04 * height + 0.035 * grain[band]) * full
    rest = 1 - inside
    return inside * body[0] + rest * 0.05, inside * body[1] + rest * stroma[band] + 0.12 * membrane


def _masks(instance: Ints, nuclei: Nuclei) -> np.ndarray[Any, np.dtype[np.int32]]:
    masks = np.zeros((len(CHANNELS), *instance.shape), np.int32)
    masks[BACKGROUND] = instance == 0
    # Ids count from 1 without gaps: nuclei that are hidden or outside do not count.
    seen = np.bincount(instance.ravel(), minlength=len(nuclei) + 1) > 0
    seen[0] = False
    dense = np.cumsum(seen)[instance]
    kind = nuclei.kind[instance - 1] if len(nuclei) else instance
    for channel in range(BACKGROUND):
        masks[channel] = np.where((kind == channel) & (instance > 0), dense, 0)
    return masks


def _likely(frame: Frame, nuclei: Nuclei) -> int:
    """Neoplastic nuclei with their centre inside the frame: a quick look before anything is drawn."""
    inside = ((nuclei.centres > 0) & (nuclei.centres < np.array(frame.extent))).all(1)
    return int((inside & (nuclei.kind == NEOPLASTIC)).sum())


def _visible(instances: Ints, mpp: float) -> int:
    areas = np.bincount(instances.ravel())[1:] * mpp**2
    return int((areas >= _VISIBLE_UM2).sum())


def type_mask(masks: Ints) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Type of each pixel ``[height, width]``: 0 background, else 1 + channel (1 neoplastic ... 5 epithelial)."""
    nuclei = masks[:BACKGROUND] > 0
    return np.where(nuclei.any(0), nuclei.argmax(0) + 1, 0).astype(np.uint8)


def label_of(masks: Ints) -> int | None:
    """1 (tumour) with at least five neoplastic nuclei, 0 (normal) with none, None between."""
    count = len(np.unique(masks[NEOPLASTIC])) - int((masks[NEOPLASTIC] == 0).any())
    return 1 if count >= TUMOUR_FROM else 0 if count == 0 else None
