"""A CAMELYON16 of a few synthetic slides, in both layouts, to try readers on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from percuss.core.errors import UsageError
from percuss.data.tissue.slide import Slide as Drawn
from percuss.data.tissue.slide import write_slide

# name, tumours
_SLIDES = (("normal_001", 0), ("tumor_001", 1), ("tumor_110", 1), ("test_001", 1), ("test_002", 0))
_TILE = 256


@dataclass(frozen=True)
class Miniature:
    """What was written.

    Attributes:
        gigadb: folder in the layout of GigaDB.
        bucket: folder in the layout of the AWS bucket, of the same slides.
        drawn: what was drawn, by name.
    """

    gigadb: Path
    bucket: Path
    drawn: dict[str, Drawn]


def miniature(folder: Path | str, seed: int = 0, *, side: int = 512, mpp: float = 0.5) -> Miniature:
    """Write five slides (normal_001, tumor_001, tumor_110, test_001 with tumour and test_002 without) in both layouts.

    Annotations of training slides use the group _0, those of test slides Tumor; names of GigaDB's test slides are
    capitalised; masks of the bucket hold 0 and 1 in levels of their own sizes.

    Args:
        folder: where the folders ``gigadb`` and ``bucket`` are made.
        seed: another seed, other slides.
        side: height and width of a slide in pixels, 512 to 4096, a multiple of 256.
        mpp: micrometres per pixel.

    Raises:
        UsageError: tifffile is not installed (extra ``wsi``).
        DataError: a size out of range, or the files cannot be written.
    """
    home = Path(folder)
    first, second = home / "gigadb", home / "bucket"
    for place in ("images", "annotations", "masks", "evaluation"):
        (second / place).mkdir(parents=True, exist_ok=True)
    drawn = {}
    for number, (name, tumours) in enumerate(_SLIDES):
        slide = write_slide(second / "images" / f"{name}.tif", seed * 100 + number, side=side, tumours=tumours, mpp=mpp)
        drawn[name] = slide
        _place(slide, name, first, second)
    _references(first, second)
    return Miniature(first, second, drawn)


def _place(slide: Drawn, name: str, first: Path, second: Path) -> None:
    kind = name.split("_", maxsplit=1)[0]
    part = first / ("testing" if kind == "test" else "training")
    folder = part / ("images" if kind == "test" else kind)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(slide.image, folder / f"{name.capitalize() if kind == 'test' else name}.tif")
    if slide.outlines_file is None:
        return
    (part / "lesion_annotations").mkdir(exist_ok=True)
    group = b"Tumor" if kind == "test" else b"_0"
    text = slide.outlines_file.read_bytes().replace(b'"tumor"', b'"' + group + b'"')
    (part / "lesion_annotations" / f"{name}.xml").write_bytes(text)
    (second / "annotations" / f"{name}.xml").write_bytes(text)
    slide.outlines_file.unlink()
    _write_mask(slide, second / "masks" / f"{name}_mask.tif")


def _write_mask(slide: Drawn, path: Path) -> None:
    """A mask pyramid of 0 and 1 whose lower levels are padded to whole tiles, unlike the slide's."""
    try:
        import tifffile
    except ImportError:
        raise UsageError(
            "writing a mask needs the package tifffile", next_step='install it with pip install "percuss[wsi]"'
        ) from None
    size = slide.masks.shape[1:]
    image = Image.new("L", (size[1], size[0]))
    for outline in slide.outlines:
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for y, x in outline], fill=1)
    level = np.asarray(image)
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 2, 4):
            part = level[::step, ::step]
            if step > 1:
                part = np.pad(part, [(0, -size % _TILE) for size in part.shape])
            writer.write(
                part,
                tile=(_TILE, _TILE),
                photometric="minisblack",
                compression="adobe_deflate",
                subfiletype=0 if step == 1 else 1,
                metadata=None,
            )


def _references(first: Path, second: Path) -> None:
    (first / "testing" / "reference.csv").write_text("test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n", "utf-8")
    lines = ["image,class,type,center"]
    for name, tumours in _SLIDES:
        lines.append(f"{name}.tif,{'tumor' if tumours else 'negative'},{'macro' if tumours else 'negative'},0")
    (second / "evaluation" / "reference.csv").write_text("\n".join(lines) + "\n", "utf-8")
