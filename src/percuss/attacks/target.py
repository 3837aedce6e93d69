"""What an attack is given and gives back: the target with its goal and cost meter, the batch, the attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from percuss.core import losses
from percuss.core.dense import everywhere
from percuss.core.errors import AttackError, ModelError, NoGradientError
from percuss.core.images import DENSE, PixelRange
from percuss.core.model import Model
from percuss.core.norms import Room


@dataclass(frozen=True)
class Goal:
    """When an image counts as done. These settings hold for every attack.

    Attributes:
        target: class index wanted (several labels: 0/1 per label; maps: this class everywhere); None for any wrong
            decision.
        confidence: the least probability of the wrong decision; None for any.
        early_stop: an image leaves once it is done, as float and as stored.
        keep: ``best`` iterate of each image, or ``last`` as textbooks have it; of masks without early stop the last
            also counts where it is no worse than the clean image.
        restarts: runs with fresh randomness for images not done, at least 1.
        rounding: ``native``: every iterate is judged as a file of the native depth would hold it
            (``core.stored.as_stored``), and such an image is what comes back: it survives storage by construction.
    """

    target: int | Sequence[int] | None = None
    confidence: float | None = None
    early_stop: bool = True
    keep: Literal["best", "last"] = "best"
    restarts: int = 1
    rounding: Literal["none", "native"] = "none"

    def __post_init__(self) -> None:
        if self.rounding not in ("none", "native"):
            raise AttackError("unknown value of the setting rounding", value=self.rounding, allowed="none, native")
        if self.keep not in ("best", "last"):
            raise AttackError("unknown value of the setting keep", value=self.keep, allowed="best, last")
        if self.restarts < 1:
            raise AttackError("the setting restarts is too small", value=self.restarts, allowed="1 or more")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise AttackError("the setting confidence is not a probability", value=self.confidence, allowed="0 to 1")


@dataclass(frozen=True)
class Batch:
    """Clean images ``[N, C, H, W]`` in [0, 1] with targets, on the model's device. Attacks must not change them.

    ``region``, bool ``[N, H, W]``, is where pixels may change; everywhere where None. The target takes pixels outside
    it as clean, and the engine puts the clean ones back, whatever an attack does there; ``room`` tells an attack.
    """

    images: Tensor
    targets: Tensor
    region: Tensor | None = None

    def room(self, rows: Tensor | None = None) -> Room:
        """How far the values of some rows (all where None) may go."""
        if rows is None:
            return Room.of(self.images, self.region)
        return Room.of(self.images[rows], None if self.region is None else self.region[rows])

    def within(self, images: Tensor, rows: Tensor | None = None) -> Tensor:
        """Images of some rows (all where None), clean outside the region."""
        if self.region is None:
            return images
        region, clean = (self.region, self.images) if rows is None else (self.region[rows], self.images[rows])
        return torch.where(region.unsqueeze(1), images, clean)


@dataclass(frozen=True)
class Attempt:
    """What an attack returns: one attacked image per image of the batch, in order. Its claims are re-measured.

    ``notes`` are for the user, and go into the run.
    """

    images: Tensor
    notes: tuple[str, ...] = ()


class Target:
    """The model under attack, with the goal and a meter of what each image of the batch costs.

    Args:
        model: gives logits; frozen by the engine.
        batch: the images attacked; ``rows`` below are positions in it.
        goal: when an image is done.
        pixels: native range, so that success can be checked as stored; None to check as float only.
        slack: a margin below this share of the largest logit is not yet done, as a copy of the model that is
            searched on may err by so much.
    """

    def __init__(
        self, model: Model, batch: Batch, goal: Goal, *, pixels: PixelRange | None, slack: float = 0.0
    ) -> None:
        self.model, self.goal, self.pixels, self.slack = model, goal, pixels, slack
        self._targets = batch.targets
        self._limited = batch if batch.region is not None else None
        self._wanted = _wanted(goal, model, batch.targets)
        self.gradient_evaluations = torch.zeros(len(batch.images), dtype=torch.long)
        self.model_evaluations = torch.zeros(len(batch.images), dtype=torch.long)
        self.saw_gradient = torch.zeros(len(batch.images), dtype=torch.bool)

    def logits(self, images: Tensor, rows: Tensor) -> Tensor:
        """Logits of images that belong to these rows, of which one may come several times; no gradient."""
        self.model_evaluations += torch.bincount(rows.cpu(), minlength=len(self.model_evaluations))
        with torch.no_grad():
            return _finite(self.model(self._seen(images, rows)))

    def gradient(
        self, images: Tensor, rows: Tensor, *, raw: bool = False, slope: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits and the direction in which the loss rises, with respect to the images.

        The scale of the direction has no meaning (``core.losses.direction``), unless ``raw``: then it is the
        gradient of the cross-entropy itself, which underflows for a very sure model. ``slope`` gives another
        direction on the logits ``[n, outputs]`` to climb, from the logits.
        """
        self.gradient_evaluations[rows.cpu()] += 1
        self.model_evaluations[rows.cpu()] += 1
        with torch.enable_grad():
            inputs = images.detach().requires_grad_(True)
            logits = self.model(self._seen(inputs, rows))
            if not logits.requires_grad:
                raise no_gradient()
            if slope is not None:
                uphill = slope(logits.detach())
            else:
                uphill = self._raw(logits, rows) if raw else self.direction(logits, rows)
            (found,) = torch.autograd.grad(logits, inputs, uphill, allow_unused=True)
        if found is None:
            raise no_gradient()
        self._notice(found, rows)
        return _finite(logits.detach()), torch.nan_to_num(found)

    def gradients(
        self, images: Tensor, rows: Tensor, slopes: Sequence[Callable[[Tensor], Tensor]]
    ) -> tuple[Tensor, list[Tensor]]:
        """``gradient`` for several slopes from one forward pass: logits, and a direction on the images for each."""
        self.model_evaluations[rows.cpu()] += 1
        self.gradient_evaluations[rows.cpu()] += len(slopes)
        with torch.enable_grad():
            inputs = images.detach().requires_grad_(True)
            logits = self.model(self._seen(inputs, rows))
            if not logits.requires_grad:
                raise no_gradient()
            found = [
                torch.autograd.grad(logits, inputs, slope(logits.detach()), retain_graph=True, allow_unused=True)[0]
                for slope in slopes[:-1]
            ]
            found += torch.autograd.grad(logits, inputs, slopes[-1](logits.detach()), allow_unused=True)
        if any(one is None for one in found):
            raise no_gradient()
        for one in found:
            self._notice(one, rows)
        return _finite(logits.detach()), [torch.nan_to_num(one) for one in found]

    def _notice(self, found: Tensor, rows: Tensor) -> None:
        """Remember the rows of which a gradient was not zero."""
        unseen = ~self.saw_gradient[rows.cpu()]
        if bool(unseen.any()):
            self.saw_gradient[rows.cpu()[unseen]] = (found[unseen.to(found.device)] != 0).flatten(1).any(1).cpu()

    def done(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Whether these logits are what the goal wants, bool per row."""
        return self.verdict(logits, rows)[0]

    def verdict(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """``done`` and ``margin`` of these rows at once."""
        margin = self.margin(logits, rows)
        if self.model.task in DENSE and self.goal.confidence is None:
            flips = margin > 0  # as losses.flipped has it, without counting all pixels again
        else:
            goal = self._goal(rows)
            flips = losses.flipped(logits, self._targets[rows], self.model.task, goal=goal, sure=self.goal.confidence)
        return (flips if self.slack == 0 else flips & (margin > self.slack * self.scale(logits))), margin

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """How far the goal is reached, above 0 where it is (without the confidence), float64 per row."""
        return losses.margin(logits, self._targets[rows], self.model.task, goal=self._goal(rows))

    def merit(self, logits: Tensor, rows: Tensor) -> Tensor:
        """What makes one attacked image better than another, float64 per row: the margin; of heat maps, whose order of
        cells counts and not a threshold, the cross-entropy where no goal is named.
        """
        if self.model.task == "heatmap" and self.goal.target is None:
            return losses.cross_entropy(logits, self._targets[rows], self.model.task)
        return self.margin(logits, rows)

    def scale(self, logits: Tensor) -> Tensor:
        """What margins are small or large against, per row: the largest logit; 1 for maps, whose margins are shares."""
        size = logits.abs().flatten(1).amax(1).double()
        return torch.ones_like(size) if self.model.task in DENSE else size

    def sides(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """The true decisions of these rows, and the decisions wanted where the goal names one."""
        return self._targets[rows], self._goal(rows)

    def _seen(self, images: Tensor, rows: Tensor) -> Tensor:
        """What the model is shown: outside a region the clean pixels, so that no gradient comes from there."""
        return images if self._limited is None else self._limited.within(images, rows)

    def _goal(self, rows: Tensor) -> Tensor | None:
        return None if self._wanted is None else self._wanted[rows]

    def direction(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The direction on the logits of these rows along which the loss rises (``core.losses.direction``)."""
        return losses.direction(logits, self._targets[rows], self.model.task, goal=self._goal(rows))

    def _raw(self, logits: Tensor, rows: Tensor) -> Tensor:
        values = logits.detach().requires_grad_(True)
        goal = self._goal(rows)
        away = self._targets[rows] if goal is None else goal
        (slope,) = torch.autograd.grad(losses.cross_entropy(values, away, self.model.task).sum(), values)
        return slope if goal is None else -slope


def no_gradient() -> NoGradientError:
    """The error for a model whose output does not depend on its input in a way autograd sees."""
    return NoGradientError(
        "no gradient reaches the input of the model, so gradient attacks would call it robust without testing it",
        allowed="a forward built of differentiable operations, without detach, argmax, rounding or no_grad",
        next_step="attack the model without that step, or use the attack noise",
    )


def _finite(logits: Tensor) -> Tensor:
    if not bool(torch.isfinite(logits).all()):
        raise ModelError(
            "the model's logits hold NaN or infinity",
            value=f"in {int((~torch.isfinite(logits)).flatten(1).any(1).sum())} of {len(logits)} images",
            allowed="finite logits",
            next_step="look at the weights and the range of the input",
        )
    return logits


def _wanted(goal: Goal, model: Model, targets: Tensor) -> Tensor | None:
    if goal.target is None:
        return None
    count = len(model.classes)
    if model.task == "multilabel":
        values = [] if isinstance(goal.target, int) else list(goal.target)
        if len(values) != count or not set(values) <= {0, 1}:
            raise AttackError("the setting target does not fit", value=goal.target, allowed=f"{count} values 0 or 1")
        return torch.tensor(values, dtype=targets.dtype, device=targets.device).expand(len(targets), -1)
    if not isinstance(goal.target, int) or not 0 <= goal.target < count:
        raise AttackError("the setting target is no class", value=goal.target, allowed=f"0 to {count - 1}")
    return everywhere(targets, goal.target) if model.task in DENSE else torch.full_like(targets, goal.target)
