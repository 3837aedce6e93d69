"""One step from a random start, with a watch for its sudden collapse under many steps (Wong et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from percuss.core.outcome import Finding
from percuss.core.seeds import ImageRandom
from percuss.defend.climbing import Climb, mode, true_slope
from percuss.defend.hardening import Hardening, Inner
from percuss.defend.recipe import Done, Turn
from percuss.defend.records import Epoch

#: Length of the one step, in sizes of the ball.
STEP = 1.25
#: A collapse, of class maps with Dice for accuracy, of heat maps with AUC-PR:
#: PGD accuracy falls to this share of its best or lower, having been above LEAST ...
FALLEN = 0.1
LEAST = 0.05
#: ... while accuracy under one step stays at this share of its best or above.
STAYING = 0.5


#: AUC-PR never falls to nothing, as accuracy does: a tenth of the cells being tumour leaves about 0.05.
FALLEN_AREA = 0.3
_MEASURES = {"auc_pr": ("AUC-PR", FALLEN_AREA), "dice": ("Dice", FALLEN), "accuracy": ("accuracy", FALLEN)}


class Settings(Inner):
    """Settings of ``fast``: ``step_size`` None means ``1.25 * eps``."""


class Defence(Hardening):
    """Every image is attacked by one step; training ends with the epoch in which only many steps succeed again."""

    name = "fast"
    settings: Settings

    def turn(self, turn: Turn) -> Done:
        """Attack every image by one step, learn from the attacked ones."""
        length = self.settings.step_size or STEP * self.ground.eps
        climb = Climb(self.ground.norm, self.ground.eps, 1, length)
        rng = ImageRandom(turn.seed, turn.ids, f"harden {turn.epoch}")
        with mode(turn.model, self.settings.batch_norm), turn.fabric.autocast():
            slope = true_slope(turn.targets, turn.model.task)
            attacked = climb.attacked(turn.model, turn.images, slope, start=climb.start(turn.images, rng))
        loss: Tensor = turn.loss(turn.wrapped(attacked), turn.targets)
        turn.update(loss)
        return Done(loss.detach(), 0, len(attacked))

    def ending(self, history: Sequence[Epoch]) -> Finding | None:
        """Catastrophic overfitting, seen on the last epoch against those before it."""
        if len(history) < 2 or history[-1].robust_accuracy is None:
            return None
        kind = next(name for name in _MEASURES if getattr(history[-1], f"robust_{name}") is not None)
        measure, fallen = _MEASURES[kind]
        robust = [getattr(row, f"robust_{kind}") or 0.0 for row in history]
        single = [getattr(row, f"one_step_{kind}") or 0.0 for row in history]
        best, one = max(robust[:-1]), max(single[:-1])
        if best < LEAST or robust[-1] > fallen * best or single[-1] < STAYING * one:
            return None
        return Finding(
            "catastrophic-overfitting",
            "warning",
            f"in epoch {len(history)} validation {measure} under PGD fell from {100 * best:.1f} % to "
            f"{100 * robust[-1]:.1f} % while it is {100 * single[-1]:.1f} % under one step: the model learnt to fool "
            "single steps. The training ended, and the best epoch before is kept.",
            {"epoch": len(history), "robust": robust[-1], "best_robust": best, "one_step": single[-1]},
        )
