"""Steps on the image by the exact gradient of a sparse code: that of its fixed point on the active set."""

from __future__ import annotations

from percuss.attacks import codes
from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.sparse_code import sparse_code
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.errors import AttackError
from percuss.core.latent import SparseCoder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
#: What the attacked network must be; the contract tests give it one.
NEEDS = SparseCoder
STARTS = ("random", "clean", "code")


def implicit(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 40,
    step_size: float | None = None,
    start: str = "random",
    code_steps: int = 100,
    cg_tolerance: float | None = None,
    cg_steps: int | None = None,
) -> Attempt:
    """Projected gradient descent end to end, each gradient solved for on the active set.

    Args:
        target, batch, budget: as for every attack; a network with a sparse code.
        rng: draws the start.
        steps, step_size: as for ``pgd``.
        start: ``random`` in the ball, ``clean``, or ``code``: what ``sparse_code`` finds (l2 alone).
        code_steps: steps of ``sparse_code`` for that start.
        cg_tolerance, cg_steps: of the conjugate gradients; as the network has them where None. Few steps give a weak
            gradient and so a model that looks robust.
    """
    if start not in STARTS:
        raise AttackError("unknown value of the setting start", value=start, allowed=", ".join(STARTS))
    with codes.through(target, "implicit", "implicit", cg_tolerance=cg_tolerance, cg_steps=cg_steps):
        watched, notes = codes.Watched(target, batch), tuple[str, ...]()
        climb = Climb(steps, step_size, start=rng if start == "random" else None)
        if start == "code":
            first = sparse_code(target, batch, budget, rng=rng, steps=code_steps)
            climb, notes = Climb(steps, step_size, begin=first.images - batch.images), first.notes
        found = ascend(watched, batch, budget, climb=climb)
    return Attempt(found.images, (*notes, *watched.notes()))


implicit.on_own_model = True  # type: ignore[attr-defined]
