"""The encoder of the sparse detector: dictionary and threshold learned together on tiles, going on after a kill."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from percuss.core.errors import ModelError
from percuss.core.seeds import seed_of
from percuss.core.teller import Teller
from percuss.models.encoder_state import EVERY, by_content, identity, read_state, write_state
from percuss.models.lca import Info, encode, standardise
from percuss.models.lca_geometry import Geometry
from percuss.models.lca_learning import Learning, begin, learn
from percuss.models.lca_solvers import Solver
from percuss.models.lca_thresholds import Kind, Threshold
from percuss.models.threshold_search import Wanted, find_size, threshold_of

#: Side of what a step learns from, in pixels; tiles are larger.
CROP = 192
#: Crops that a threshold is looked for on, images that the finished encoder is measured on, patches' images at first.
_LOOK, _MEASURE, _FIRST = 4, 4, 32
#: Side of those crops and tolerance of the solver while learning; the last threshold is looked for on crops of full
#: side and at the encoder's own tolerance.
_SMALL, _LOOSE = 96, 1e-2
#: Violation, as a share of the threshold, up to which a code counts as converged where no tolerance was asked for.
CONVERGED = 1e-3


@dataclass(frozen=True)
class Plan:
    """How an encoder learns.

    Args:
        atoms, kernel, stride: of the dictionary; a kernel is a side in pixels.
        kind: of threshold.
        active: share of coefficients to be active, where ``threshold`` is None.
        threshold: size of the threshold; None to find it.
        updates: steps of dictionary learning.
        seed: of atoms, order and crops.
        solver: of the finished encoder, which its figures are measured with.
    """

    atoms: int
    kernel: int
    stride: int
    kind: Kind = "soft"
    active: float = 0.01
    threshold: float | None = None
    updates: int = 200
    seed: int = 0
    solver: Solver = field(default_factory=Solver)


@dataclass(frozen=True)
class Learned:
    """A finished encoder: atoms ``[M, C, K, K]``, its threshold, and what is told of it."""

    dictionary: Tensor
    threshold: Threshold
    facts: dict[str, Any]


@dataclass
class _Run:
    """Tiles ``[N, C, H, W]`` in the order of their content, and where the learning stands."""

    tiles: Tensor
    places: list[int]
    plan: Plan
    identity: str
    path: Path
    state: Learning | None = None
    size: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def standard(self, tile: int) -> Tensor:
        """One tile, standardised, ``[1, C, H, W]``."""
        return standardise(self.tiles[self.places[tile]][None])[0]

    def crops(self, count: int, purpose: object, side: int = CROP) -> Tensor:
        """So many crops of standardised tiles, each tile once before one comes again."""
        generator = torch.Generator().manual_seed(seed_of(self.plan.seed, "crops", purpose))
        chosen = torch.cat(
            [torch.randperm(len(self.places), generator=generator) for _ in range(-(-count // len(self.places)))]
        )
        return torch.cat([self._crop(int(tile), side, generator) for tile in chosen[:count]])

    def _crop(self, tile: int, most: int, generator: torch.Generator) -> Tensor:
        whole, unit = self.standard(tile), self.plan.stride
        sides = [max(unit, min(side, most) // unit * unit) for side in whole.shape[2:]]
        top, left = (
            int(torch.randint(whole.shape[2 + axis] - side + 1, (1,), generator=generator))
            for axis, side in enumerate(sides)
        )
        return whole[..., top : top + sides[0], left : left + sides[1]]

    def save(self) -> None:
        assert self.state is not None
        words = {"identity": self.identity, "step": self.state.step, "size": self.size}
        words |= {"history": self.history, "facts": self.facts}
        write_state(self.path, {"dictionary": self.state.dictionary, "used": self.state.used}, words)

    def restore(self) -> bool:
        found = read_state(self.path, self.identity)
        if found is None:
            return False
        tensors, words = found
        atoms, plan = tensors["dictionary"].to(self.tiles.device), self.plan
        self.state = Learning(atoms, plan.seed, plan.stride, "mirror", words["step"], tensors["used"])
        self.size, self.history, self.facts = words["size"], words["history"], words["facts"]
        return True


def learn_encoder(images: Tensor, plan: Plan, *, path: Path, progress: Teller) -> Learned:
    """Dictionary and threshold from tiles; how they are listed changes nothing.

    Atoms begin as patches. Each step codes crops of 192 x 192 pixels in all and moves the atoms
    (``percuss.models.lca_learning``); the threshold is looked for at first, after each quarter and, at the encoder's
    own tolerance, at the end. Tiles are standardised whole, then cropped.

    Args:
        images: ``[N, C, H, W]`` in [0, 1], of tissue without tumour.
        plan: how.
        path: safetensors file of the state; what was begun there goes on, what was finished is read.
        progress: told how far it is.

    Raises:
        ModelError: a share of active coefficients that no threshold reaches, or a given threshold that leaves none.
        RunError: ``path`` holds another learning, is damaged or cannot be written.
        UsageError: images too small for the atoms.
    """
    names, places = by_content(images)
    run = _Run(images, places, plan, identity(plan, names), path)
    if not run.restore():
        run.state = begin(
            run.crops(min(len(places), _FIRST), "atoms"), plan.atoms, plan.kernel, seed=plan.seed, stride=plan.stride
        )
        run.size = _size(run, "first")
    assert run.state is not None
    if not run.facts:
        _steps(run, progress)
        run.size = _size(run, "last", last=True)
        run.facts = _measured(run)
        run.save()
    progress.line(_sentence(run.facts))
    if plan.threshold is not None and run.facts.get("empty") == run.facts["measured_on"]:
        raise ModelError(
            "the sparse code is empty: no coefficient of any measured training tile is active",
            value=f"{plan.kind} threshold {run.size:.4g}",
            next_step="give a smaller threshold=, or active=0.01 in its place, and another --out",
        )
    return Learned(run.state.dictionary, threshold_of(plan.kind, run.size), run.facts)


def _steps(run: _Run, progress: Teller) -> None:
    state, plan = run.state, run.plan
    assert state is not None
    saved, rounds = time.monotonic(), max(1, plan.updates // 4)
    crop = run.crops(1, "size").shape
    count = max(1, min(len(run.places), CROP**2 // (crop[2] * crop[3])))
    progress.start(f"dictionary of {plan.atoms} atoms", plan.updates)
    try:
        progress.advance(state.step)
        while state.step < plan.updates:
            crops = run.crops(count, state.step)
            rule = threshold_of(plan.kind, run.size)
            state, info = learn(state, crops, threshold=rule, solver=Solver(tolerance=_LOOSE))
            run.state = state
            run.history.append({"step": state.step, "threshold": run.size, **_row(info)})
            if state.step % rounds == 0 and state.step < plan.updates:
                run.size = _size(run, state.step)
            progress.advance()
            if time.monotonic() - saved > EVERY:
                run.save()
                saved = time.monotonic()
    finally:
        progress.stop()


def _row(info: Info) -> dict[str, float]:
    return {"energy": float(info.energy.mean()), "active": 1 - float(info.sparsity.mean())}


def _size(run: _Run, purpose: object, *, last: bool = False) -> float:
    """The threshold as float32, which a checkpoint holds."""
    plan = run.plan
    if plan.threshold is not None:
        return float(torch.tensor(plan.threshold, dtype=torch.float32))
    assert run.state is not None
    tolerance = (plan.solver.tolerance or CONVERGED) if last else _LOOSE
    side = CROP if last else max(_SMALL, 2 * plan.kernel)
    crops = run.crops(min(len(run.places), _LOOK), f"look {purpose}", side)
    wanted = Wanted(plan.kind, plan.active, plan.stride, tolerance)
    found, _ = find_size(crops, run.state.dictionary, wanted, guess=run.size or None)
    return float(torch.tensor(found, dtype=torch.float32))


def _measured(run: _Run) -> dict[str, Any]:
    """The finished encoder on some whole tiles, with its own solver."""
    plan, state = run.plan, run.state
    assert state is not None
    generator = torch.Generator().manual_seed(seed_of(plan.seed, "measure"))
    chosen = torch.randperm(len(run.places), generator=generator)[:_MEASURE].tolist()
    tiles = torch.cat([run.standard(tile) for tile in chosen])
    rule = threshold_of(plan.kind, run.size)
    _, info = encode(tiles, state.dictionary, threshold=rule, stride=plan.stride, solver=plan.solver)
    canvas = Geometry(plan.kernel, plan.stride, "mirror").canvas(tiles)
    empty = canvas.double().square().sum(dim=(1, 2, 3)).cpu() / 2
    return {
        "images": len(run.places),
        "threshold": {"kind": plan.kind, "size": run.size, "width": rule.width},
        "active_wanted": None if plan.threshold is not None else plan.active,
        "updates": plan.updates,
        "solver": {"name": info.solver, "tolerance": plan.solver.tolerance, "steps": plan.solver.steps}
        | ({"tau": plan.solver.tau} if info.solver == "lca" else {}),
        "measured_on": len(chosen),
        "sparsity": float(info.sparsity.mean()),
        "energy": float(info.energy.mean()),
        "energy_share": float((info.energy / empty.clamp_min(1e-12)).mean()),
        # A number of steps may be asked for with a tolerance of 0, which nothing reaches.
        "converged": float((info.violation <= max(plan.solver.tolerance, CONVERGED)).double().mean()),
        "violation": float(info.violation.max()),
        "empty": int(info.empty.sum()),
        "history": run.history,
    }


def _sentence(facts: dict[str, Any]) -> str:
    bare = f"; the code of {facts['empty']} of them is empty" if facts.get("empty") else ""
    return (
        f"dictionary learned in {facts['updates']} steps: {facts['threshold']['kind']} threshold "
        f"{facts['threshold']['size']:.4g}, {100 * facts['sparsity']:.2f} % of the code is 0, "
        f"{100 * facts['converged']:.0f} % of {facts['measured_on']} images converged{bare}"
    )
