"""What is known of a slide's tumour: its outlines or its mask, as cells of any band of the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError, UsageError
from percuss.data.slides.camelyon import not_exhaustive
from percuss.data.slides.cells import cells, decided
from percuss.data.slides.mask_pyramid import MaskPyramid, read_values
from percuss.data.slides.outlines import Outlines, fit, read_outlines
from percuss.data.slides.slide import Slide
from percuss.data.slides.view import View
from percuss.store.safe import sha256_of

Cells = NDArray[np.uint8]
_MASKS = (".tif", ".tiff")


def name_of(path: Path | str) -> str:
    """The name by which a slide and its annotations find each other: in small letters, no ending, no ``_mask``."""
    return Path(path).stem.lower().removesuffix("_mask")


@dataclass(frozen=True)
class Truth:
    """The truth of one slide: outlines, a mask, or that there is no tumour (neither).

    Attributes:
        kind: ``outlines``, ``mask`` or ``normal``.
        exhaustive: False where tumour is known to be left out.
        notes: what was settled by a rule.
    """

    kind: str
    exhaustive: bool
    outlines: Outlines | None = None
    mask: MaskPyramid | None = None
    notes: tuple[str, ...] = ()

    def tile(self, view: View, corner: tuple[int, int], *, side: int, cell: int) -> Cells:
        """0 normal, 1 tumour, 255 not judged for the cells of a square, uint8 ``[side / cell, side / cell]``."""
        if self.outlines is not None:
            return cells(self.outlines, view, *corner, side, cell=cell)
        if self.mask is None:
            return np.zeros((side // cell, side // cell), np.uint8)
        tumour, judged = self.mask.shares(view, corner, side=side, cell=cell)
        found: Cells = np.where(judged < 0.5, np.uint8(IGNORE), decided(tumour, "half"))
        return found

    def band(self, view: View, top: int, *, size: tuple[int, int], cell: int) -> Cells:
        """The same for rows of the map, from cell ``top`` on, uint8 ``[size]`` in cells."""
        height, width = size
        parts = [
            self.tile(view, (top * cell, left * cell), side=height * cell, cell=cell)
            for left in range(0, width, height)
        ]
        return np.concatenate(parts, 1)[:, :width]

    def close(self) -> None:
        """Release the mask's file."""
        if self.mask is not None:
            self.mask.close()


@dataclass(frozen=True)
class Annotations:
    """Where truths are looked for.

    Attributes:
        path: a file of outlines or a mask, or a folder of files named as the slides (``NAME.xml``, ``NAME.tif`` or
            ``NAME_mask.tif``); None for no truth.
        normal: names of slides that hold no tumour.
        values: what the values of masks stand for (``0=normal,1=tumour``).
        mend: repair outlines that cross themselves.
    """

    path: Path | None = None
    normal: tuple[str, ...] = ()
    values: str | None = None
    mend: bool = False

    def text(self, slides: Sequence[Path]) -> str:
        """What decides the truths of these slides, for the run's identity."""
        files = (self._file(path) for path in slides)
        hashes = [sha256_of(file) for file in files if file is not None]
        return f"{' '.join(hashes)} {','.join(self.normal)} {self.values} {self.mend}"

    def check(self, slides: Sequence[Path]) -> None:
        """UsageError or DataError where annotations cannot belong to these slides."""
        names = [name_of(path) for path in slides]
        for name in self.normal:
            if name_of(name) not in names:
                raise UsageError("--normal names no slide of this call", value=name, allowed=", ".join(names[:12]))
        if self.path is not None and not self.path.exists():
            raise DataError("there are no such annotations", value=self.path, next_step="check --annotations")
        if self.path is not None and self.path.is_file() and len(slides) > 1:
            raise UsageError(
                "one file of annotations cannot belong to several slides",
                value=self.path,
                next_step="give a folder that holds a file named as each slide",
            )

    def truth(self, slide: Slide) -> Truth | None:
        """The truth of a slide; None where nothing is known. DataError where its file cannot be used."""
        name = name_of(slide.path)
        exhaustive = not not_exhaustive(slide.path)
        if name in {name_of(text) for text in self.normal}:
            return Truth("normal", exhaustive)
        found = self._file(slide.path)
        if found is None:
            return None
        if found.suffix.lower() in _MASKS:
            if self.values is None:
                raise UsageError(
                    "the values of a mask must be declared",
                    value=found,
                    next_step="give --values, for instance --values 0=normal,1=tumour",
                )
            mask = MaskPyramid(found, values=read_values(self.values), size=(slide.height, slide.width))
            return Truth("mask", exhaustive, mask=mask)
        outlines = fit(read_outlines(found, mend=self.mend), height=slide.height, width=slide.width)
        return Truth("outlines", exhaustive, outlines, notes=outlines.notes)

    def _file(self, slide: Path) -> Path | None:
        if self.path is None or self.path.is_file():
            return self.path
        wanted = name_of(slide)
        files = sorted(file for file in self.path.iterdir() if file.suffix.lower() in (".xml", *_MASKS))
        mine = [file for file in files if name_of(file) == wanted and file.resolve() != slide.resolve()]
        outlined = [file for file in mine if file.suffix.lower() == ".xml"]
        return next(iter(outlined or mine), None)
