"""A faster copy of the model for the search: batch norm folded into convolutions, channels last.

The copy only proposes; every verdict is the user's own model's. Where the copy's logits differ by more than
``TOLERANCE`` of the largest logit, the search runs on the user's model itself.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.model import Model

#: Largest difference of logits allowed, relative to the largest logit.
TOLERANCE = 1e-4
#: Convolutions with fewer weights than this together lose more by the copying than they gain.
_WORTH = 100_000
#: Images of the trial pass that finds what can be folded and whether the copy agrees.
_TRIAL = 2


def search_copy(model: Model, images: Tensor, logits: Tensor) -> tuple[Model, str]:
    """The copy to search on, and a note where there is none for cause.

    Args:
        model: the user's model, in eval mode; it is not changed.
        images, logits: some clean images on the model's device, and what the model says of them.

    Returns:
        The copy (small and dense weights are shared with the model), or the model itself.
    """
    weights = sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Conv2d))
    if weights < _WORTH or any(value.dtype is not torch.float32 for value in model.parameters()) or not len(images):
        return model, ""
    images, logits = images[:_TRIAL], logits[:_TRIAL]
    try:
        copied = _shared_copy(model)
        _fold(copied, images[:1])
        _channels_last(copied)
        with torch.no_grad():
            found = copied(images)
    except Exception as error:  # a forward of the user's may do anything; then nothing is gained, nothing lost
        return model, f"no fast copy of this model: {type(error).__name__}: {error}"
    gap = float((found - logits).abs().max() / logits.abs().max().clamp_min(1e-12))
    if not gap <= TOLERANCE:
        return model, f"no fast copy of this model: its logits differ by {gap:.1g} of the largest"
    return copied, ""


def _shared_copy(model: Model) -> Model:
    """New modules around the same tensors; what is then replaced in the copy stays in the model."""
    memo: dict[int, Any] = {id(value): value for value in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, memo)


def _fold(model: Model, images: Tensor) -> None:
    """Put each batch norm that follows just one convolution into its weights."""
    names = {part: name for name, part in model.named_modules()}
    for convolution, norm in _pairs(model, images):
        scale = norm.weight if norm.weight is not None else torch.ones_like(norm.running_var)
        shift = norm.bias if norm.bias is not None else torch.zeros_like(scale)
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None  # _foldable saw to it
        factor = scale.double() / (variance.double() + norm.eps).sqrt()
        bias = torch.zeros_like(mean) if convolution.bias is None else convolution.bias
        weight = convolution.weight.double() * factor.view(-1, 1, 1, 1)
        convolution.weight = nn.Parameter(weight.float(), requires_grad=False)
        moved = shift.double() + (bias.double() - mean.double()) * factor
        convolution.bias = nn.Parameter(moved.float(), requires_grad=False)
        parent, _, own = names[norm].rpartition(".")
        setattr(model.get_submodule(parent), own, _rest(norm))


def _pairs(model: Model, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and batch norms, each called once, the one on the very output of the other."""
    if not any(_foldable(part) for part in model.modules()):
        return []  # and no pass is spent on looking
    made: dict[int, tuple[weakref.ref[Tensor], nn.Conv2d]] = {}
    calls: dict[nn.Module, int] = {}
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after(part: nn.Module, given: Any, output: Tensor) -> None:
        assert isinstance(part, nn.Conv2d)
        calls[part] = calls.get(part, 0) + 1
        made[id(output)] = (weakref.ref(output), part)  # not held: a pass with all its outputs is large

    def before(part: nn.Module, given: Any) -> None:
        assert isinstance(part, nn.BatchNorm2d)
        calls[part] = calls.get(part, 0) + 1
        origin = made.get(id(given[0]))
        if origin is not None and origin[0]() is given[0]:
            found.append((origin[1], part))

    hooks = [part.register_forward_hook(after) for part in model.modules() if _plain(part)]
    hooks += [part.register_forward_pre_hook(before) for part in model.modules() if _foldable(part)]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in found if calls[pair[0]] == calls[pair[1]] == 1]


def _plain(part: nn.Module) -> bool:
    return type(part) is nn.Conv2d or type(part).__name__ == "Conv2dSame"


def _foldable(part: nn.Module) -> bool:
    known = type(part) is nn.BatchNorm2d or type(part).__name__ == "BatchNormAct2d"
    return known and part.running_mean is not None and part.running_var is not None


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """What of the layer is left: timm's layers hold their activation too."""
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    drop: nn.Module = norm.get_submodule("drop")
    return nn.Sequential(drop, norm.get_submodule("act"))


def _channels_last(model: nn.Module) -> None:
    """Four-dimensional weights lie channels last; convolutions follow their weights."""
    order: Callable[[Tensor], Tensor] = lambda value: value.contiguous(memory_format=torch.channels_last)  # noqa: E731
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.weight = nn.Parameter(order(part.weight.detach()), requires_grad=False)
