"""The attack on a code: steps on its active units against the head, rebuilt as an image, brought to the L2 budget."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median

import torch
from torch import Tensor

from percuss.attacks import codes
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.latent import Coder, SparseCoder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
NORMS = (Norm.L2,)
#: What the attacked network must be; the contract tests give it one.
NEEDS = Coder
#: Lengths of a step, in the code's own units; the paper names none.
GRID = (0.001, 0.003, 0.01, 0.05)
#: The same for codes that are not sparse, where every unit moves and a step carries further.
DENSE_GRID = (0.00003, 0.0001, 0.0003, 0.001)
RULES = ("l2", "sign")


def sparse_code(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    rule: str = "l2",
    step_size: float | None = None,
    sign_as_printed: bool = False,
) -> Attempt:
    """Steps up the head's loss in the code, the encoder left out; judged by encoding anew (Strauss and Kenyon 2021).

    Of a sparse code only the units that are active before move, and none falls below 0. The change of the image is
    the reconstruction after less that before.

    Args:
        target, batch, budget: as for every attack; a network with a code, l2 alone.
        rng: not used; nothing here is random.
        steps: gradient steps; 100 in the paper.
        rule: ``l2``: a step of ``step_size * sqrt(active units)`` along the gradient; ``sign``: each active unit by
            ``step_size``.
        step_size: in the code's units; each of ``GRID`` (``DENSE_GRID`` where the code is not sparse) in turn where
            None, the best image kept.
        sign_as_printed: the reconstruction before less that after, as the paper's sentence has it: a change that
            helps the model.
    """
    codes.only_l2(budget, "sparse_code")
    coder = codes.coder_of(target, "sparse_code")
    grid = GRID if isinstance(coder, SparseCoder) else DENSE_GRID
    lengths = grid if step_size is None else (step_size,)
    _check(steps, rule, lengths)
    ways = [partial(_climbed, target, steps=steps, rule=rule, length=length) for length in lengths]
    turn = -1.0 if sign_as_printed else 1.0
    found, natives = codes.search(target, batch, budget, ways=ways, ids=rng.ids, turn=turn)
    notes = [*found.notes, *_sizes(lengths, natives, budget)]
    if not isinstance(coder, SparseCoder):
        notes.append("the code is not sparse, so there is no active set: every unit was attacked")
    if sign_as_printed:
        notes.append("sign_as_printed: the change is the one that helps the model, as the paper's sentence reads")
    return Attempt(found.images, tuple(notes))


sparse_code.on_own_model = True  # type: ignore[attr-defined]


def _check(steps: int, rule: str, lengths: Sequence[float]) -> None:
    codes.counted("steps", steps)
    if rule not in RULES:
        raise AttackError("unknown value of the setting rule", value=rule, allowed=", ".join(RULES))
    if not all(length > 0 for length in lengths):
        raise AttackError("the setting step_size is too small", value=lengths[0], allowed="above 0")


def _sizes(lengths: Sequence[float], natives: Sequence[Sequence[float]], budget: Budget) -> list[str]:
    """How long the changes were by themselves: one much longer than the budget wasted its steps."""
    told = [f"{median(some):.3g} with steps of {size:g}" for size, some in zip(lengths, natives, strict=True) if some]
    text = f"length of the change before it was brought to {budget.text}, median over images: "
    return [text + ", ".join(told)] if told else []


def _climbed(target: Target, coded: codes.Coded, *, steps: int, rule: str, length: float) -> Tensor:
    """Values after the steps; one of ``l2`` has the root mean square ``length`` over the active units of its image."""

    def along(slope: Tensor) -> Tensor:
        peak = torch.zeros_like(coded.rows, dtype=slope.dtype).scatter_reduce(0, coded.owner, slope.abs(), "amax")
        even = slope / torch.where(peak > 0, peak, torch.ones_like(peak))[coded.owner]  # no scale is too small
        size = coded.mean(even.square()).sqrt().to(slope)
        return even / torch.where(size > 0, size, torch.ones_like(size))[coded.owner]

    return codes.climb(target, coded, steps=steps, length=length, rule=torch.sign if rule == "sign" else along)
