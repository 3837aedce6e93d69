"""Heat maps as pictures: truth, the map before and after an attack on one scale, and how it changed."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from percuss.core.dense import IGNORE
from percuss.report.heat import SCALE, heat_pixels
from percuss.report.masks import grey, overlay
from percuss.store.png import slug

Pixels = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class HeatPicture:
    """A PNG with what it is called, what it shows in words, and the file of the run behind it with its hash."""

    png: bytes
    caption: str
    note: str
    file: str = ""
    sha256: str = ""


def heat_pictures(folder: Path, name: str, norm: str, *, clean: Pixels, levels: int) -> list[HeatPicture]:
    """Truth over the image in grey, the heat maps before and after (probability, 0 to 1), and their difference.

    Heat maps have a pixel for each cell; whoever shows them enlarges them without blur.

    Args:
        folder: the run.
        name: id of the image; ``norm`` the norm of the attack.
        clean: the unattacked image, ``[H, W]`` or ``[H, W, C]``; ``levels`` its highest value.

    Raises:
        OSError: a file is missing. ValueError: maps that do not fit the image or each other.
    """
    files = [f"maps/truth/{slug(name)}.png", f"heat/clean/{slug(name)}.png", f"heat/{norm}/{slug(name)}.png"]
    contents = [(folder / file).read_bytes() for file in files]
    truth, *both = (_opened(content) for content in contents)
    if any(one.shape != truth.shape for one in both):
        raise ValueError(f"truth and heat maps differ in size: {[one.shape for one in (truth, *both)]}")
    before, after = (one.astype(np.float64) / 255 for one in both)
    base = grey(clean, levels)
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    share = f"{100 * float((truth == 1).sum()) / max(int((truth != IGNORE).sum()), 1):.1f} % tumour"
    unjudged = int((truth == IGNORE).sum())
    share += f", {unjudged} cells not judged" if unjudged else ""
    return [
        HeatPicture(overlay(base, enlarged(truth, base.shape)), "truth", share, files[0], digests[0]),
        HeatPicture(scaled(before), "heat map before", told(before, truth), files[1], digests[1]),
        HeatPicture(scaled(after), "heat map after, as stored", told(after, truth), files[2], digests[2]),
        HeatPicture(_change(before, after), "after less before", _moved(before, after, truth)),
    ]


def enlarged(cells: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Cells ``[h, w]`` at every pixel of an image ``[H, W]``, by nearest; ValueError where they do not tile it."""
    side = shape[0] // max(cells.shape[0], 1)
    if side < 1 or (cells.shape[0] * side, cells.shape[1] * side) != tuple(shape[:2]):
        raise ValueError(f"cells {cells.shape} do not tile the image {shape[:2]}")
    return np.repeat(np.repeat(cells, side, axis=0), side, axis=1)


def scaled(values: Pixels) -> bytes:
    """PNG of probabilities ``[h, w]``: dark is 0 and bright is 1, whatever the map holds."""
    return _png(heat_pixels(values, peak=1.0))


def told(values: Pixels, truth: Pixels) -> str:
    """The mean probability in tumour and in normal cells, for those who cannot see the picture."""
    parts = [("tumour", truth == 1), ("normal", truth == 0)]
    said = [f"{values[part].mean():.2f} in {name} cells" for name, part in parts if part.any()]
    return f"mean {', '.join(said)}" if said else "no cell judged"


def scale_css() -> str:
    """The colours of the scale from 0 to 1, as a gradient of a style sheet."""
    colours = ", ".join(f"rgb({int(red)} {int(green)} {int(blue)})" for red, green, blue in SCALE)
    return f"linear-gradient(90deg, {colours})"


def _moved(before: Pixels, after: Pixels, truth: Pixels) -> str:
    parts = [("tumour", truth == 1), ("normal", truth == 0)]
    said = [f"{(after - before)[part].mean():+.2f} in {name} cells" for name, part in parts if part.any()]
    return f"grey: no change; mean {', '.join(said)}".replace("-", "−") if said else "grey: no change"


def _change(before: Pixels, after: Pixels) -> bytes:
    values = np.clip(np.round(128 + 127 * (after - before)), 0, 255).astype(np.uint8)
    return _png(values)


def _opened(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def _png(values: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, format="PNG", optimize=True)
    return file.getvalue()
