"""The thumbnail of a slide that shows which tiles were kept, which hold tumour, and the outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from percuss.data.slides.outlines import Outlines
from percuss.data.slides.tissue import thumbnail
from percuss.data.slides.view import View

_SIDE = 1024
#: What was not kept is drawn this much of the way to white.
_FADE = 0.6
_OUTLINE, _TUMOUR, _NORMAL, _UNJUDGED = (0, 110, 0), (200, 0, 0), (0, 70, 190), (110, 110, 110)


def picture(view: View, rows: Sequence[dict[str, str]], outlines: Outlines | None) -> np.ndarray[Any, Any]:
    """uint8 ``[height, width, 3]``, longer side at most 1024: kept tiles framed red where they hold tumour cells, blue
    where they are judged normal, grey where nothing is judged; the rest faded; outlines green.

    Args:
        view: the slide at the resolution of the tiles.
        rows: of the kept tiles, as in the table.
        outlines: of the slide, or None.
    """
    small = thumbnail(view, _SIDE)
    scale = max(view.slide.height / small.shape[0], view.slide.width / small.shape[1])
    kept = np.zeros(small.shape[:2], bool)
    frames = []
    for row in rows:
        side = int(row["size"]) * view.scale / scale
        top, left = int(row["row"]) / scale, int(row["column"]) / scale
        kept[round(top) : round(top + side), round(left) : round(left + side)] = True
        colour = _TUMOUR if float(row["tumour"]) else _NORMAL if float(row["judged"]) else _UNJUDGED
        frames.append(((left, top, left + side - 1, top + side - 1), colour))
    faded = (small + (255 - small.astype(np.float32)) * _FADE).astype(np.uint8)
    image = Image.fromarray(np.where(kept[..., None], small, faded))
    draw = ImageDraw.Draw(image)
    for box, colour in frames:
        draw.rectangle(box, outline=colour)
    if outlines is not None:
        for line in (outlines.edges / scale).tolist():
            draw.line(line, fill=_OUTLINE, width=2)
    return np.asarray(image)
