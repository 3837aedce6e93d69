"""Backward pass differentiable approximation: a named stand-in for a preprocessing step without useful gradient.

Athalye, Carlini and Wagner (2018): the forward pass runs the true step, the backward pass that of a stand-in which
resembles it. Attacks are then judged on the true model as ever; only the search uses the stand-in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import Model

Step = Callable[[Tensor], Tensor]
StandIn = Literal["identity"] | Step


class Approximated(nn.Module):
    """A step that runs as it is, and whose gradient is that of a stand-in.

    Args:
        step: the true step, tensors to tensors ``[N, ...]``; may leave torch.
        backward: ``identity``, or a differentiable function with outputs of the same shape as the step's.
    """

    def __init__(self, step: Step, backward: StandIn = "identity") -> None:
        super().__init__()
        if not callable(step) or not (backward == "identity" or callable(backward)):
            raise ModelError(
                "the backward approximation cannot be used",
                value=f"{step!r}, {backward!r}",
                allowed="a function or module, and identity or a function",
            )
        self.step, self.backward = step, backward

    def forward(self, images: Tensor) -> Tensor:
        """The step's own values; ModelError where the stand-in's shape is another."""
        with torch.no_grad():
            values = self.step(images.detach()).to(images)
        like = images if isinstance(self.backward, str) else self.backward(images)
        if like.shape != values.shape:
            raise ModelError(
                "the stand-in for the backward pass has another shape than the step",
                value=f"{tuple(like.shape)}, the step gives {tuple(values.shape)}",
                allowed="equal shapes",
                next_step="give backward= a differentiable function with outputs of that shape",
            )
        # Adding a difference would round the values: the step's own must come out to the last bit.
        return cast(Tensor, _Through.apply(like, values))

    def extra_repr(self) -> str:
        """The stand-in's name."""
        return f"backward={self.name}"

    @property
    def name(self) -> str:
        """The stand-in as text."""
        return "identity" if isinstance(self.backward, str) else _name(self.backward)


class _Through(torch.autograd.Function):
    """Gives the second tensor, and hands the gradient to the first."""

    @staticmethod
    def forward(ctx: Any, like: Tensor, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return slopes[0], None


def backward_approximation(module: nn.Module, *, forward: str | Step, backward: StandIn = "identity") -> nn.Module:
    """A copy of a model in which the gradient of one step is that of a stand-in.

    Args:
        module: a network, or a Percuss model.
        forward: the step: the name of a submodule (as in ``named_modules``), or a function on images in [0, 1] that
            is put before the module (for a Percuss model before its normalisation).
        backward: ``identity`` (default), or a differentiable function that resembles the step, same output shape.

    Returns:
        The same logits, other gradients. Audits carry the finding ``backward-approximation``.

    Raises:
        ModelError: no such submodule; a stand-in that is no function.
    """
    if callable(forward):
        first = Approximated(forward, backward)
        if not isinstance(module, Model):
            return nn.Sequential(first, module)
        plain = replace(module.info, mean=(0.0,) * module.info.channels, std=(1.0,) * module.info.channels)
        return Model(nn.Sequential(first, module), plain)
    names = [name for name, _ in module.named_modules() if name]
    if forward not in names:
        raise ModelError("the model has no such part", value=forward, allowed=nearest(forward, names))
    copied = copy.deepcopy(module)
    parent, _, last = forward.rpartition(".")
    setattr(copied.get_submodule(parent), last, Approximated(copied.get_submodule(forward), backward))
    return copied


def approximations(model: nn.Module) -> list[str]:
    """The steps of a model whose gradient is a stand-in's, as text ``step -> stand-in``."""
    return [f"{_name(part.step)} -> {part.name}" for part in model.modules() if isinstance(part, Approximated)]


def _name(step: object) -> str:
    return str(getattr(step, "__name__", type(step).__name__))
