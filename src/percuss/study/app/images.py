"""Images by random token: the same bytes, headers and time whatever they show.

All files of a study have one length. What a disk needs for them may differ, since the system keeps in memory what was
read lately, and an original is read more often than a copy: answers leave at whole steps of a clock instead.
"""

from __future__ import annotations

import asyncio
import errno
import math
import time
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from percuss.study import standing
from percuss.study.app.current import Views
from percuss.study.app.login import Reading
from percuss.study.app.pictures import geometry
from percuss.study.app.problems import Refusal, problems
from percuss.study.app.records import ImageShown, Tiles
from percuss.study.opening import OpenStudy

#: Seconds between the moments at which an image may leave, counted from its request.
STEP = 0.02
router = APIRouter(tags=["reading"])
_PNG: dict[int | str, dict[str, object]] = {200: {"content": {"image/png": {}}, "description": "The image."}}


def shown(study: OpenStudy, image: standing.PlaceImage) -> ImageShown:
    """What a reader's browser is told of one image."""
    seen, pixels = geometry(study.folder.images / image.file), study.info.pixels
    return ImageShown(
        url=f"/api/v1/images/{image.token}",
        token=image.token,
        width=seen.width,
        height=seen.height,
        channels=seen.channels,
        bits=seen.bits,
        levels=pixels.levels,
        low=pixels.low,
        high=pixels.high,
        unit=pixels.unit,
        level=pixels.levels / 2,
        window=pixels.levels,
        tiles=Tiles(size=seen.tile, levels=seen.levels) if seen.levels else None,
    )


@router.get("/images/{token}", responses=_PNG | problems(401, 403, 404, 422), response_class=Response)
async def image(token: str, who: Reading, views: Views) -> Response:
    """One image as PNG, uncompressed. Only of the trial whose turn it is, of up to two that follow, and of the last."""
    return await _send(views, who.reader.id, token, "")


@router.get(
    "/images/{token}/tiles/{level}/{x}/{y}", responses=_PNG | problems(401, 403, 404, 422), response_class=Response
)
async def tile(token: str, level: int, *, x: int, y: int, who: Reading, views: Views) -> Response:
    """One tile of a large image, as PNG."""
    return await _send(views, who.reader.id, token, f"{level}/{x}_{y}.png")


async def _send(views: tuple[OpenStudy, ...], reader: int, token: str, inner: str) -> Response:
    begun = time.perf_counter()
    content = await run_in_threadpool(_read, views, reader, token, inner)
    took = time.perf_counter() - begun
    await asyncio.sleep(math.ceil(took / STEP) * STEP - took)
    if content is None:
        raise Refusal(404, "unknown-image", "there is no such image for you now", next_step="load the page again")
    return Response(content, media_type="image/png")


def _read(views: tuple[OpenStudy, ...], reader: int, token: str, inner: str) -> bytes | None:
    """The bytes; None for every token that does not stand for an image that this reader may see now."""
    files = (standing.image_of(study, reader, token) for study in views)
    file = next((found for found in files if found is not None), None)
    if file is None:
        return None
    path: Path = views[0].folder.images / file
    if path.is_dir() != bool(inner):
        return None
    try:
        return (path / inner).read_bytes() if inner else path.read_bytes()
    except OSError as error:
        if inner and error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None  # a tile beyond the edge, or far beyond
        raise
