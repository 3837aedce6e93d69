"""Which sides a segmenter takes: found by trying small images, and checked before each pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError, PercussError
from percuss.core.model import out_of_memory

Size = tuple[int, int]
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
#: Images of the trials are at least this high: smaller ones vanish in deep networks.
_AT_LEAST = 129


def check_sides(size: Size, multiple: int, network: str) -> None:
    """ModelError where a side (height, width, in pixels) is no multiple of ``multiple``."""
    if min(size) < multiple or any(side % multiple for side in size):
        up = [max(multiple, -(-side // multiple) * multiple) for side in size]
        raise ModelError(
            f"the images do not fit {network}, which halves their sides",
            value=f"{size[0]} x {size[1]} pixels",
            allowed=f"sides that are multiples of {multiple}",
            next_step=f"give ?size={max(up)} behind the data spec",
        )


@dataclass(frozen=True)
class _Check:
    """Runs before each pass of a network; a record, so that copies of the network keep it."""

    multiple: int
    name: str

    def __call__(self, network: nn.Module, given: tuple[Tensor, ...]) -> None:
        check_sides((given[0].shape[2], given[0].shape[3]), self.multiple, self.name)


def settle(
    network: nn.Module, spec: str, *, channels: int, outputs: int, size: Size | None, fixed: bool
) -> Size | None:
    """See that the network gives one logit per class and pixel, and let it refuse sides that it does not take.

    Libraries do not say which sides their networks take, so each multiple is tried on an image of zeros.

    Args:
        network: put into eval mode.
        spec: its name in errors.
        channels, outputs: of the network itself.
        size: (height, width) of the images to come, if known.
        fixed: the network is built for that size only.

    Returns:
        The size where the network takes no other, as far as is known; None where it takes others.

    Raises:
        ModelError: no size works, or not the given one.
    """
    network.eval()
    words = ""
    for multiple in () if fixed else _MULTIPLES:
        words = _fails(network, (channels, *_odd(multiple)), outputs, spec)
        if not words:
            network.register_forward_pre_hook(_Check(multiple, spec))
            if size is not None:
                check_sides(size, multiple, spec)
            return None
    # Some take one size, or squares alone.
    words = _fails(network, (channels, *size), outputs, spec) if size is not None else words
    if words:
        raise _useless(spec, words, outputs)
    return size


def _odd(multiple: int) -> Size:
    """Two different sides that are odd multiples: no higher power of two divides them."""
    times = -(-_AT_LEAST // multiple) | 1
    return times * multiple, (times + 2) * multiple


def _fails(network: nn.Module, shape: tuple[int, int, int], outputs: int, spec: str) -> str:
    """Why an image of that shape gives no logits for each pixel; empty where it does.

    ModelError where no other size would: no map, or maps of another number of classes.
    """
    try:
        with torch.no_grad():
            found: object = network(torch.zeros(1, *shape))
    except Exception as error:  # libraries raise all kinds for images of a wrong size
        if isinstance(error, PercussError | MemoryError) or out_of_memory(error):
            raise
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
    words = f"{got} for an image of shape {(1, *shape)}"
    if not isinstance(found, Tensor) or found.dim() != 4 or found.shape[1] != outputs:
        raise _useless(spec, words, outputs)
    return "" if tuple(found.shape) == (1, outputs, *shape[1:]) else words


def _useless(spec: str, words: str, outputs: int) -> ModelError:
    return ModelError(
        f"{spec} gives no logits for each pixel",
        value=words,
        allowed=f"[N, {outputs}, height, width] for images [N, channels, height, width]",
        next_step="look at the network's options behind its name, or take another network",
    )
