"""A suite for networks with a code: attacks on the image, on the code and through the code, the worst map kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from percuss.attacks import codes
from percuss.attacks.apgd import apgd
from percuss.attacks.implicit import implicit
from percuss.attacks.in_turn import one_by_one
from percuss.attacks.pgd import pgd
from percuss.attacks.rescaled_fgsm import rescaled_fgsm
from percuss.attacks.sparse_code import sparse_code
from percuss.attacks.straight_through import straight_through
from percuss.attacks.target import Attempt, Batch, Target
from percuss.attacks.unrolled import unrolled
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError, nearest
from percuss.core.latent import Coder, SparseCoder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
#: What the attacked network must be; the contract tests give it one.
NEEDS = Coder


@dataclass(frozen=True)
class Suite:
    """Steps of each attack by gradients of the image, of each on the code, and whether the unrolled ones follow."""

    steps: int
    code_steps: int
    stand_ins: bool = True


SUITES = {
    "quick": Suite(20, 30, stand_ins=False),
    "standard": Suite(40, 100),
    "thorough": Suite(100, 300),
}


def codesuite(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, effort: str = "standard") -> Attempt:
    """Every part attacks every image within the same budget; of each image what raises the cross-entropy most stays.

    Args:
        target, batch, budget: as for every attack; a network with a code. What knows l2 alone is left out under
            other norms.
        rng: draws the starts.
        effort: ``quick``, ``standard`` or ``thorough``: steps, and whether the stand-ins for gradients are tried.
    """
    network = codes.coder_of(target, "codesuite")
    listed = parts(effort, sparse=isinstance(network, SparseCoder), norm=budget.norm)
    every = [True] * len(batch.images)
    return one_by_one(target, batch, budget, rng=rng, parts=[(part, every) for _, part in listed])


codesuite.on_own_model = True  # type: ignore[attr-defined]


def parts(effort: str, *, sparse: bool, norm: Norm) -> list[tuple[str, Callable[..., Attempt]]]:
    """The attacks of the suite in order, with names and settings; AttackError for an unknown effort."""
    if effort not in SUITES:
        raise AttackError("unknown effort", value=effort, allowed=nearest(effort, SUITES))
    suite, long = SUITES[effort], norm is Norm.L2
    found: list[tuple[str, Callable[..., Attempt]]] = [
        ("pgd", partial(pgd, steps=suite.steps)),
        ("apgd", partial(apgd, steps=suite.steps)),
    ]
    if long:
        found.insert(0, ("rescaled_fgsm", partial(rescaled_fgsm, steps=suite.code_steps)))
    if long and not sparse:
        found.append(("sparse_code", partial(sparse_code, steps=suite.code_steps)))
    if long and sparse:  # its first iterate is what sparse_code found
        begun = partial(implicit, steps=suite.steps, start="code", code_steps=suite.code_steps)
        found.append(("sparse_code, implicit from there", begun))
    if sparse:
        found.append(("implicit", partial(implicit, steps=suite.steps)))
        found.append(("straight_through", partial(straight_through, steps=suite.steps)))
    if sparse and suite.stand_ins:
        found.append(("one step", partial(straight_through, steps=suite.steps, mode="one_step")))
        found.append(("unrolled", partial(unrolled, steps=suite.steps)))
    return found
