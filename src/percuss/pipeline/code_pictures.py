"""What an audit shows of a network with a code: its kernels by use, and what the code of one image is made of."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from percuss.attacks.eval_mode import frozen
from percuss.core.images import Tensors
from percuss.core.latent import Coder
from percuss.models.lca_pictures import kernel_grid, use_of
from percuss.pipeline.parts import Work
from percuss.report.kernel_pictures import columns_for, place_map, plain_image, signed_image
from percuss.report.sections import Panel
from percuss.report.study_figures import sheet

FOLDER = "code"
#: Images whose codes say how often a kernel is used: coding full tiles takes long.
_LOOKED_AT = 4
#: Kernels or channels of one image's code that are shown by themselves.
_SHOWN = 8
Array = NDArray[Any]


@dataclass(frozen=True)
class _Seen:
    """Codes of a few images, on the CPU.

    Attributes:
        ids: of the images; ``place`` the one that is shown.
        images, rebuilt: ``[N, C, H, W]``, as given and as their codes say.
        codes: ``[N, M, h, w]``.
        kernels: ``[K, C, h, w]``: the dictionary, or the kernels of the first layer; None where neither is there.
        sparse: the kernels are the dictionary, one for each channel of the code.
    """

    ids: Sequence[str]
    place: int
    images: Tensor
    rebuilt: Tensor
    codes: Tensor
    kernels: Tensor | None
    sparse: bool


def has_code(work: Work) -> bool:
    """Whether the network judges a code that can be shown."""
    return isinstance(work.model.network, Coder)


def write_code_pictures(work: Work, batch: Tensors) -> None:
    """Write ``code/dictionary.png``, ``code/features.png``, the single pictures and ``code/told.json`` into a run.

    Args:
        work: the run; nothing is done where its network has no code.
        batch: images of the run, of which up to four are coded.

    The kernels of a dictionary are in the order of their use, the sum of their coefficients in these images; ``use`` in
    ``told.json`` is the share of places where each is active.
    """
    if not has_code(work) or not batch.ids:
        return
    seen = _look(work, batch)
    pictures = _pictures(seen)
    for number, (_, pixels) in enumerate(pictures):
        work.folder.write(f"{FOLDER}/{_file(number)}", _png(pixels))
    rows = [(caption, _png(pixels)) for caption, pixels in pictures]
    panels = [Panel(seen.ids[seen.place], pictures=tuple(rows[start : start + 4])) for start in range(0, len(rows), 4)]
    work.folder.write(f"{FOLDER}/features.png", sheet(panels))
    drawn, words = _kernels(seen)
    work.folder.write(f"{FOLDER}/dictionary.png", _png(drawn))
    told = {
        "kind": "sparse code" if seen.sparse else "code",
        "facts": _facts(seen),
        "words": _words(seen),
        "kernels": {"file": "dictionary.png", "caption": words, "width": drawn.shape[1]},
        "image": seen.ids[seen.place],
        "pictures": [{"file": _file(number), "caption": caption} for number, (caption, _) in enumerate(pictures)],
        "use": _use(seen.codes),
    }
    work.folder.write(f"{FOLDER}/told.json", json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _file(number: int) -> str:
    return f"feature-{number:02d}.png"


def _look(work: Work, batch: Tensors) -> _Seen:
    """Codes of the image with the most even share of tumour and of some others; one by one, as memory allows."""
    network: Any = work.model.network
    share = [float((target == 1).float().mean()) for target in batch.targets]
    order = sorted(range(len(batch.ids)), key=lambda place: abs(share[place] - 0.5))
    chosen = order[:1] + sorted(order[1:], key=lambda place: batch.ids[place])[: _LOOKED_AT - 1]
    images, codes, rebuilt = batch.images[chosen], [], []
    with frozen(work.model), torch.no_grad():
        for image in images:
            one = image[None].to(work.device)
            code = network.code(one)
            codes.append(code.float().cpu())
            rebuilt.append(network.rebuild(code, one).float().cpu())
    kernels, sparse = _kernels_of(network, images.shape[1], codes[0].shape[1])
    ids = [batch.ids[place] for place in chosen]
    return _Seen(ids, 0, images, torch.cat(rebuilt), torch.cat(codes), kernels, sparse)


def _kernels_of(network: nn.Module, channels: int, atoms: int) -> tuple[Tensor | None, bool]:
    """The dictionary, or else the kernels of the first convolution on the image, and whether it is the former."""
    found = getattr(network, "dictionary", None)
    if isinstance(found, Tensor) and found.dim() == 4 and len(found) == atoms:
        return found.detach().float().cpu(), True
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels == channels and min(layer.kernel_size) > 1:
            return layer.weight.detach().float().cpu(), False
    return None, False


def _use(codes: Tensor) -> list[float]:
    """Share of places where each channel of the code is active."""
    places = codes.numel() / codes.shape[1]
    return [float(count) / places for count in use_of(codes).active]


def _kernels(seen: _Seen) -> tuple[Array, str]:
    """The sheet of kernels and its caption; of a code without any, its channels' mean maps would say nothing."""
    if seen.kernels is None:
        return np.full((8, 8, 3), 128, dtype=np.uint8), "no kernels that work on the image"
    count, _, high, wide = seen.kernels.shape
    zoom = max(1, min(6, 48 // high)) if count <= 128 else 1
    order = use_of(seen.codes) if seen.sparse else None
    pixels = _enlarged(kernel_grid(seen.kernels, use=order, columns=columns_for(count, wide * zoom)), zoom)
    what = f"{count} kernels of {high} × {wide}"
    sort = "the most used first" if seen.sparse else "of the first layer, in its order"
    return pixels, f"{what}, {sort}; each stretched by itself, mid-grey is 0"


def _pictures(seen: _Seen) -> list[tuple[str, Array]]:
    """The image, what its code says of it, the difference, and the strongest parts of the code."""
    image, rebuilt, code = (part[seen.place].numpy() for part in (seen.images, seen.rebuilt, seen.codes))
    peak = float(np.abs(image - rebuilt).max())
    found = [
        ("tile", plain_image(image)),
        (f"from its code; {_error(image, rebuilt)}", plain_image(rebuilt)),
        (f"tile less that; ±{peak:.2g} white, black", signed_image(image - rebuilt, peak=peak)),
    ]
    if seen.sparse:
        found.append(("number of active kernels by place", place_map((code != 0).sum(0).astype(float))))
    strength = code.sum((1, 2), dtype=np.float64)
    for number in np.argsort(-strength, kind="stable")[: _SHOWN if seen.sparse else len(code)]:
        share = 100 * float((code[number] != 0).mean())
        if seen.sparse and seen.kernels is not None:
            kernel = seen.kernels[int(number)][None]
            found.append((f"kernel {number}", _enlarged(kernel_grid(kernel, columns=1), 8)))
            found.append((f"kernel {number}, {share:.2g} % of places", place_map(code[number])))
        else:
            found.append((f"channel {number}, {share:.3g} % of places", place_map(code[number])))
    return found


def _enlarged(pixels: Array, zoom: int) -> Array:
    return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _error(image: Array, rebuilt: Array) -> str:
    """What of the image's variation about its mean the code leaves out."""
    spread = float(((image - image.mean()) ** 2).sum())
    return f"{100 * float(((image - rebuilt) ** 2).sum()) / max(spread, 1e-12):.1f} % of variance left out"


def _facts(seen: _Seen) -> list[tuple[str, str]]:
    _, channels, high, wide = seen.codes.shape
    pixels = seen.images[0].numel()
    size = channels * high * wide
    active = float((seen.codes != 0).float().mean())
    found = [
        ("Code of a tile", f"{high} × {wide} × {channels}"),
        ("… for each value of the tile", f"{size / pixels:.3g}"),
        ("Active coefficients", f"{100 * active:.3g} %"),
    ]
    if seen.sparse:
        used = sum(part > 0 for part in _use(seen.codes))
        found.append(("Kernels used in these tiles", f"{used} of {channels}"))
    return found


def _words(seen: _Seen) -> list[str]:
    many = f"{len(seen.ids)} tiles" if len(seen.ids) > 1 else "one tile"
    if seen.sparse:
        text = "The network judges a sparse code: each tile as a sum of few kernels at few places."
    else:
        text = "The network judges the channels of a bottleneck, from which a decoder builds the tile again."
    return [f"{text} What is active and used is counted over {many}, without attack."]


def _png(pixels: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return file.getvalue()
