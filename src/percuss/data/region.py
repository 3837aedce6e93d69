"""Where an attack may change pixels: the set's own masks, tissue, or one mask for all images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.core.images import Case
from percuss.data.decode import decode_mask

#: Otsu's threshold is kept within these saturations, since a patch may be all tissue or all background.
LEAST, MOST = 0.05, 0.2
_BINS = 256


@dataclass(frozen=True)
class Region:
    """A rule for regions.

    Attributes:
        text: ``mask`` (pixels above 0 of each image's own mask, class map or cells), ``tissue`` or a file.
        plane: bool ``[H, W]``, the file's mask; None for the others.
        key: names the rule and the content of its file.
    """

    text: str
    plane: Tensor | None
    key: str

    def of(self, case: Case, image: Tensor) -> Tensor:
        """Region of one image, bool ``[H, W]``; ``image`` is ``[C, H, W]`` in [0, 1].

        DataError where the image has no mask, a mask of another size, no colour (tissue), or an empty region.
        """
        if self.plane is not None:
            found = self.plane
        elif self.text == "tissue":
            found = tissue(image.unsqueeze(0), case.id)[0]
        else:
            found = _own(case, image)
        if found.shape != image.shape[1:]:
            raise DataError(
                f"the region of image {case.id} has another size",
                value=tuple(found.shape),
                allowed=str(tuple(image.shape[1:])),
                next_step="give a mask of the image's size",
            )
        if not bool(found.any()):
            raise DataError(
                f"the region of image {case.id} is empty", value=self.text, next_step="leave the image out, or mend it"
            )
        return found


def open_region(text: str) -> Region:
    """``mask``, ``tissue``, or the path of an image whose pixels above 0 may change; DataError for anything else."""
    name = text.strip()
    if name in ("mask", "tissue"):
        return Region(name, None, name)
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(
            "no such region",
            value=text,
            allowed="mask, tissue, or the file of a mask",
            next_step="check the path behind --region",
        )
    data = path.read_bytes()
    return Region(name, torch.from_numpy(decode_mask(data, name) > 0), hashlib.sha256(data).hexdigest())


def tissue(images: Tensor, name: str = "") -> Tensor:
    """Tissue of stained images ``[N, 3, H, W]`` in [0, 1], bool ``[N, H, W]``: saturated above Otsu's threshold.

    Saturation is (largest - smallest) / largest of the channels. The threshold (N. Otsu, IEEE Trans. SMC 9 (1979)
    62-66) is of each image, and kept between 0.05 and 0.2. DataError for images without colour.
    """
    if images.shape[1] != 3:
        raise DataError(
            f"image {name} has no colour, by which tissue is found",
            value=f"{images.shape[1]} channels",
            allowed="RGB",
            next_step="give --region mask or a file",
        )
    high = images.amax(1)
    saturation = torch.where(high > 0, (high - images.amin(1)) / high.clamp_min(1e-12), torch.zeros_like(high))
    cuts = [min(max(otsu(part.flatten().cpu().double().numpy()), LEAST), MOST) for part in saturation]
    return saturation > torch.tensor(cuts, dtype=saturation.dtype, device=saturation.device).view(-1, 1, 1)


def otsu(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The cut in [0, 1] that parts the values (in 256 bins) into two classes of largest variance between them."""
    counts, edges = np.histogram(values, bins=_BINS, range=(0.0, 1.0))
    share = counts / max(counts.sum(), 1)
    below, middle = np.cumsum(share), (edges[:-1] + edges[1:]) / 2
    mean = np.cumsum(share * middle)
    part = below * (1 - below)
    between = np.where(part > 0, (mean[-1] * below - mean) ** 2 / np.where(part > 0, part, 1.0), -1.0)
    best = np.flatnonzero(between >= between.max() - 1e-12)
    return float(edges[1:][best].mean())  # all cuts between two far groups are as good: the middle one


def _own(case: Case, image: Tensor) -> Tensor:
    if case.mask is None and isinstance(case.target, np.ndarray) and case.target.ndim == 2:  # a class map
        shown = torch.from_numpy((case.target > 0) & (case.target != IGNORE))
        # Of heat maps the truth is of cells: each stands for the pixels that it covers.
        cell = max(1, image.shape[1] // max(shown.shape[0], 1))
        return shown.repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    if case.mask is None:
        raise DataError(
            f"image {case.id} has no mask",
            value="region mask",
            next_step="fill the table's mask column, or give --region tissue or a file",
        )
    mask = np.asarray(case.mask)
    return torch.from_numpy((mask > 0).any(0) if mask.ndim == 3 else mask > 0)
