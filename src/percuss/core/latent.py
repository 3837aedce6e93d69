"""Networks whose heat map comes from a code of the image, as attacks and pages may use them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

#: Ways through the code of a sparse detector: exact on the active set, through the steps of its dynamics, passed on
#: unchanged on the active set, of one step without competition.
GRADIENTS = ("implicit", "unrolled", "straight", "one_step")


@runtime_checkable
class Coder(Protocol):
    """A network that judges a code of the image, and can build an image from one.

    It may also have ``judging(active)``: of units, bool ``[M, h, w]``, a differentiable function of their values alone
    (in the order of ``active.nonzero()``, all other units 0) that gives the logits ``[1, 1, h, w]``, where it has a
    faster way for that than ``judge``; else None.
    """

    def code(self, images: Tensor) -> Tensor:
        """The code ``[N, M, h, w]`` of images ``[N, C, H, W]`` in [0, 1]."""
        ...

    def judge(self, code: Tensor) -> Tensor:
        """Logits of cells ``[N, 1, H / cell, W / cell]`` from a code."""
        ...

    def rebuild(self, code: Tensor, like: Tensor) -> Tensor:
        """The images ``[N, C, H, W]`` that codes stand for, not clipped.

        Mean and deviation are those of the images ``like``, where the code holds neither.
        """
        ...


@runtime_checkable
class SparseCoder(Coder, Protocol):
    """A coder whose code is the solution of a problem, so that there are several gradients through it."""

    gradient: str

    def gradients(self, mode: str, **settings: Any) -> AbstractContextManager[Any]:
        """Within, gradients through ``code`` are made this way (``GRADIENTS``), with its settings."""
        ...
