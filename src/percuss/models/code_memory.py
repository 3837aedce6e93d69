"""Codes of images that were coded before, found again by the images' content."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from percuss.models.encoder_state import digest

#: Bytes that a memory takes at most, unless it is told otherwise.
LIMIT = 2**31


class CodeMemory:
    """Keeps codes on the processor, as places and values where that is smaller.

    When ``limit`` bytes are full nothing more is kept: in passes over images in changing order, making room by
    forgetting would forget most codes before they are asked for again.

    Args:
        limit: bytes of codes, at most.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.bytes, self.found = limit, 0, 0
        self._kept: dict[str, tuple[tuple[int, ...], Tensor | None, Tensor]] = {}

    def __len__(self) -> int:
        """How many codes are kept."""
        return len(self._kept)

    def codes(self, images: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """Codes of images ``[N, C, H, W]``, of which only unknown ones are coded; without a gradient."""
        names = [digest(image) for image in images]
        missing = [place for place, name in enumerate(names) if name not in self._kept]
        self.found += len(names) - len(missing)
        with torch.no_grad():
            fresh = dict(zip(missing, encode(images[missing]), strict=True)) if missing else {}
            for place, code in fresh.items():
                self._keep(names[place], code)
            return torch.stack(
                [fresh[place] if place in fresh else self._whole(name, images) for place, name in enumerate(names)]
            )

    def _keep(self, name: str, code: Tensor) -> None:
        flat = code.detach().flatten()
        active = int(torch.count_nonzero(flat))
        size = min(active * (4 + flat.element_size()), flat.numel() * flat.element_size())
        if name in self._kept or self.bytes + size > self.limit:
            return
        places = None
        if size < flat.numel() * flat.element_size():
            there = flat.nonzero()[:, 0]
            places, flat = there.to(torch.int32).cpu(), flat[there]
        self._kept[name] = (tuple(code.shape), places, flat.cpu().clone())
        self.bytes += size

    def _whole(self, name: str, like: Tensor) -> Tensor:
        shape, places, values = self._kept[name]
        if places is None:
            return values.view(shape).to(like.device)
        code = torch.zeros(shape, dtype=values.dtype, device=like.device)
        code.view(-1)[places.to(like.device).long()] = values.to(like.device)
        return code
