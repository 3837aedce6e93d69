"""percuss:sparse_detector: a heat map of tumour from a convolutional sparse code (Strauss and Kenyon)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError, UsageError
from percuss.core.latent import GRADIENTS
from percuss.core.model import ModelInfo
from percuss.core.teller import Teller
from percuss.models.heat_detector import CELL, HeatDetector, check_options, describe
from percuss.models.lca import STRIDE, Info, decode, encode, standardise
from percuss.models.lca_gradient import Mode, code_with_gradient
from percuss.models.lca_solvers import NAMES, Name, Solver
from percuss.models.lca_thresholds import KINDS, Kind, Threshold
from percuss.models.options import Options
from percuss.models.sparse_learning import Plan, learn_encoder
from percuss.models.spec_options import chosen, number, whole
from percuss.models.threshold_search import threshold_of

OPTIONS = (
    *("atoms", "kernel", "stride", "active", "threshold", "kind"),
    *("solver", "tolerance", "steps", "tau", "updates", "cell"),
)
FILE = "sparse-code.safetensors"
#: Share of coefficients to be active, unless told otherwise: the paper's, but no more for each pixel than that share is
#: with 512 atoms at stride 8. Converged codes of 512 atoms at stride 2 never come near the paper's share.
ACTIVE, PER_PIXEL = 0.01, 0.08


class SparseDetector(HeatDetector):
    """A dictionary learned on tiles without tumour, the sparse code under it, and the head.

    Images are standardised one by one; each is coded by itself. The dictionary, the size of the threshold and whether
    both were learned are buffers. A ``percuss.core.latent.SparseCoder``: the gradient of ``code`` is the exact one on
    the active set, unless ``gradients`` says otherwise. ``info`` says what became of the last images that were coded,
    and after a backward pass, in ``info.backward``, of their gradient.

    Args:
        channels: of the images.
        plan: of dictionary and threshold; its seed is replaced by that of ``prepare``. Its solver is the encoder's:
            ``lca`` with a number of steps and a tolerance of 0 makes exactly so many.
        cell: side of a cell in pixels.
    """

    dictionary: Tensor
    threshold: Tensor

    def __init__(self, channels: int, plan: Plan, *, cell: int = CELL) -> None:
        super().__init__("sparse_detector", plan.atoms, stride=plan.stride, cell=cell)
        self.plan = plan
        self.register_buffer("dictionary", torch.zeros(plan.atoms, channels, plan.kernel, plan.kernel))
        self.register_buffer("threshold", torch.tensor(0.0))
        self.gradient = "implicit"
        self.info: Info | None = None
        self._settings: dict[str, Any] = {}

    @property
    def rule(self) -> Threshold:
        """The threshold of the code."""
        return threshold_of(self.plan.kind, float(self.threshold))

    @contextmanager
    def gradients(self, mode: str, **settings: Any) -> Iterator[SparseDetector]:
        """Within, gradients through the code are made this way.

        Args:
            mode: one of ``percuss.core.latent.GRADIENTS``.
            **settings: of ``percuss.models.lca_gradient.code_with_gradient`` for that mode.

        Raises:
            UsageError: unknown mode.
        """
        if mode not in GRADIENTS:
            raise UsageError("unknown gradient through a sparse code", value=mode, allowed=", ".join(GRADIENTS))
        before = self.gradient, self._settings
        self.gradient, self._settings = mode, settings
        try:
            yield self
        finally:
            self.gradient, self._settings = before

    def encode(self, images: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, M, H / stride, W / stride]``, at least 0."""
        # One by one, so that batch mates change not one bit, and in one memory format whatever the network's is.
        units = torch.cat([standardise(image.contiguous()[None])[0] for image in images])
        atoms = self.dictionary.contiguous()
        if torch.is_grad_enabled() and images.requires_grad:
            code, self.info = code_with_gradient(
                units,
                atoms,
                threshold=self.rule,
                stride=self.stride,
                solver=self.plan.solver,
                border="mirror",
                gradient=cast("Mode", self.gradient),
                **self._settings,
            )
            return code
        code, self.info = encode(units, atoms, threshold=self.rule, stride=self.stride, solver=self.plan.solver)
        return code

    def forward(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` to logits ``[N, 1, H / cell, W / cell]``, one by one: a code takes much room."""
        return torch.cat([self.judge(self.code(image[None])) for image in images])

    def rebuild(self, code: Tensor, like: Tensor) -> Tensor:
        """Images from codes, with the mean and deviation of the images ``like``."""
        _, mean, deviation = standardise(like)
        return decode(code, self.dictionary.contiguous(), stride=self.stride) * deviation + mean

    def known(self) -> dict[str, Any]:
        """See ``HeatDetector.known``."""
        atoms, _, kernel, _ = self.dictionary.shape
        found = {"kind": "sparse code (LCA)", "atoms": atoms, "kernel": kernel, "stride": self.stride}
        return found | {"threshold": vars(self.rule)} if bool(self.learned) else found

    def prepare(self, images: Tensor, *, seed: int, folder: Path, progress: Teller) -> None:
        """See ``HeatDetector.prepare``."""
        self._check_sides(images)
        plan, device = replace(self.plan, seed=seed), self.dictionary.device
        found = learn_encoder(images.to(device), plan, path=folder / FILE, progress=progress)
        self.dictionary.copy_(found.dictionary)
        self.threshold.fill_(found.threshold.size)
        self.learned.fill_(True)
        self._facts = found.facts

    def extra_repr(self) -> str:
        """What decides the code and has no weights, so that it is part of a model's fingerprint."""
        solver = self.plan.solver
        return (
            f"stride={self.stride}, threshold={self.plan.kind}, solver={solver.name}, tolerance={solver.tolerance:g}, "
            f"steps={solver.steps}, tau={solver.tau:g}"
        )


def build(given: Mapping[str, str], options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; it takes [0, 1]."""
    inside = check_options("sparse_detector", options)
    cell = whole(given, "cell", otherwise=CELL, least=1, most=64)
    kernel = whole(given, "kernel", otherwise=24, least=2, most=256)
    atoms = whole(given, "atoms", otherwise=512, least=1, most=100_000)
    stride = whole(given, "stride", otherwise=min(STRIDE, kernel), least=1, most=kernel)
    plan = Plan(
        atoms=atoms,
        kernel=kernel,
        stride=stride,
        kind=cast("Kind", chosen(given, "kind", KINDS, otherwise="soft")),
        active=_active(given, atoms, stride),
        threshold=_size(given),
        updates=whole(given, "updates", otherwise=200, least=0, most=10**6),
        solver=_solver(given),
    )
    network = SparseDetector(inside, plan, cell=cell)
    return network, describe("percuss:sparse_detector", options, inside=inside, cell=cell)


def _active(given: Mapping[str, str], atoms: int, stride: int) -> float:
    active = number(given, "active", otherwise=min(ACTIVE, PER_PIXEL * stride**2 / atoms))
    if not 0 < active < 1:
        raise ModelError("the share of active coefficients", value=given["active"], allowed="above 0, below 1")
    if "active" in given and "threshold" in given:
        raise ModelError(
            "the threshold is either found or given",
            value=f"active={given['active']}&threshold={given['threshold']}",
            next_step="leave out one of them",
        )
    return active


def _size(given: Mapping[str, str]) -> float | None:
    if "threshold" not in given:
        return None
    size = number(given, "threshold", otherwise=0)
    if not size > 0:
        raise ModelError("the size of the threshold", value=given["threshold"], allowed="above 0")
    return size


def _solver(given: Mapping[str, str]) -> Solver:
    """The encoder's solver; with a number of steps ``lca`` makes exactly so many, unless a tolerance is given too."""
    name = cast("Name", chosen(given, "solver", NAMES, otherwise="fast"))
    steps = whole(given, "steps", otherwise=1, least=1, most=10**6) if "steps" in given else None
    if "tau" in given and name != "lca":
        raise ModelError("tau belongs to the dynamics", value=f"solver={name}", allowed="solver=lca")
    exact = 0.0 if name == "lca" and steps is not None else 1e-3
    tolerance, tau = number(given, "tolerance", otherwise=exact), number(given, "tau", otherwise=50.0)
    if tau < 1:
        raise ModelError("the time constant tau", value=given["tau"], allowed="at least 1 step")
    return Solver(name, tolerance=tolerance, steps=steps, tau=tau)
