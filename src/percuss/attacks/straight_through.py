"""Steps on the image with a stand-in for the gradient of a sparse code: passed on unchanged, or of one step (BPDA)."""

from __future__ import annotations

from percuss.attacks import codes
from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.errors import AttackError
from percuss.core.latent import SparseCoder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
#: What the attacked network must be; the contract tests give it one.
NEEDS = SparseCoder
#: What the network calls each stand-in.
MODES = {"active_set": "straight", "one_step": "one_step"}


def straight_through(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 40,
    step_size: float | None = None,
    mode: str = "active_set",
) -> Attempt:
    """Backward pass approximation of the encoder (Athalye, Carlini and Wagner 2018); the forward pass is its own.

    Args:
        target, batch, budget: as for every attack; a network with a sparse code.
        rng: draws the start, uniform in the ball.
        steps, step_size: as for ``pgd``.
        mode: ``active_set``: the code's gradient goes to the atoms of the active units as it is, as if these did not
            compete; ``one_step``: the gradient of one step, ``relu(D'x - threshold)``, which is a weak attack.
    """
    if mode not in MODES:
        raise AttackError("unknown value of the setting mode", value=mode, allowed=", ".join(MODES))
    with codes.through(target, "straight_through", MODES[mode]):
        return ascend(target, batch, budget, climb=Climb(steps, step_size, start=rng))


straight_through.on_own_model = True  # type: ignore[attr-defined]
