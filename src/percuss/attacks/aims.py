"""Aims on masks beside a bad mask: one class taken away, or put where nothing is.

The pixels that are to change and the others weigh alike in all, whatever their numbers; the others should show what the
model decided before. What is climbed is the cross-entropy down to that map, where pixels weigh the less the further
they are from what they should show: what a step can reach comes first. What counts is the share of the pixels that
changed as wanted, less the share of the others that changed too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.in_turn import on_rows
from percuss.attacks.pixels import Slope
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.dense import IGNORE, REACHED, direction, one_hot
from percuss.core.errors import AttackError, nearest
from percuss.core.seeds import ImageRandom

#: How steeply the weight of a pixel falls with its distance; found on nuclei, docs/attacks/remove.md.
_SHARP = 3.0


@dataclass(frozen=True)
class Known:
    """Maps ``[n, H, W]`` of some images: the truth, what was decided before any change, and the region or None."""

    truth: Tensor
    before: Tensor
    region: Tensor | None = None

    def rows(self, index: Tensor) -> Known:
        """Some of the images."""
        return Known(self.truth[index], self.before[index], None if self.region is None else self.region[index])


@dataclass(frozen=True)
class Aim:
    """What the map should become.

    Attributes:
        kind: ``remove`` or ``hallucinate``.
        victim: index of the class, not 0.
        into: remove: ``background``, or ``other`` for any other class.
        rest: what the other pixels weigh against those that are to change, 0 or more.
    """

    kind: Literal["remove", "hallucinate"]
    victim: int
    into: str = "background"
    rest: float = 1.0

    def places(self, truth: Tensor, region: Tensor | None = None) -> Tensor:
        """Pixels that are to change, bool ``[n, H, W]``: those of the class, or the background (of the region)."""
        if self.kind == "remove":
            return truth == self.victim
        return truth == 0 if region is None else (truth == 0) & _cells(region, truth)

    def reached(self, decided: Tensor) -> Tensor:
        """Which pixels show what is wanted of those that are to change, bool ``[n, H, W]``."""
        if self.kind == "hallucinate":
            return decided == self.victim
        return decided == 0 if self.into == "background" else decided != self.victim

    def rate(self, logits: Tensor, truth: Tensor, region: Tensor | None = None) -> Tensor:
        """Share of the pixels to change that did, float64 ``[n]``; 0 where there is none."""
        return _share(self.reached(logits.argmax(1)), self.places(truth, region))

    def score(self, logits: Tensor, known: Known) -> Tensor:
        """The rate less ``rest`` times the share of other judged pixels that changed, float64 ``[n]``."""
        moved = _share(logits.argmax(1) != known.before, self.others(known))
        return self.rate(logits, known.truth, known.region) - self.rest * moved

    def others(self, known: Known) -> Tensor:
        """Judged pixels that should stay, bool ``[n, H, W]``."""
        return ~self.places(known.truth, known.region) & (known.truth != IGNORE)

    def slope(self, known: Known) -> Slope:
        """Down the weighted cross-entropy to the wanted map."""
        places, others = self.places(known.truth, known.region), self.others(known)
        whole = torch.where(known.truth == IGNORE, known.truth, known.before)

        def uphill(logits: Tensor) -> Tensor:
            wanted = torch.where(places, self._wanted(logits), whole)
            weight = _even(places) + self.rest * _even(others)
            return -direction(logits, wanted, weight=weight * _focus(logits, wanted, places))

        return uphill

    def _wanted(self, logits: Tensor) -> Tensor:
        """The class that a changed pixel should show, ``[n, H, W]``."""
        if self.kind == "remove" and self.into == "other":
            values = logits.clone()
            values[:, self.victim] = -torch.inf
            return values.argmax(1).to(torch.uint8)
        wanted = self.victim if self.kind == "hallucinate" else 0
        return torch.full_like(logits[:, 0], wanted, dtype=torch.uint8)


class Aimed(Target):
    """A target whose images are done when an aim is reached; costs are booked on the target it is made of."""

    def __init__(self, target: Target, batch: Batch, aim: Aim) -> None:
        super().__init__(target.model, batch, target.goal, pixels=target.pixels, slack=target.slack)
        self.aim = aim
        self.gradient_evaluations, self.model_evaluations = target.gradient_evaluations, target.model_evaluations
        self.saw_gradient = target.saw_gradient
        rows = torch.arange(len(batch.images), device=batch.images.device)
        self.known = Known(batch.targets, self.logits(batch.images, rows).argmax(1), batch.region)

    def merit(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The score of the aim."""
        return self.margin(logits, rows)

    def verdict(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Whether nearly all pixels that are to change did, and the score of the aim."""
        known = self.known.rows(rows)
        return self.aim.rate(logits, known.truth, known.region) >= REACHED, self.aim.score(logits, known)

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The score of the aim."""
        return self.aim.score(logits, self.known.rows(rows))

    def slope(self, rows: Tensor) -> Slope:
        """What to climb."""
        return self.aim.slope(self.known.rows(rows))


def pursue(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, aim: Aim, climb: Climb) -> Attempt:
    """Climb towards an aim; images without a pixel to change come back unchanged, with a note.

    AttackError where the goal asks for a class everywhere or for a confidence.
    """
    for name in ("target", "confidence"):
        if getattr(target.goal, name) is not None:
            raise AttackError(
                f"the setting {name} has no meaning here",
                value=getattr(target.goal, name),
                allowed="victim, the class to change",
            )
    fit = aim.places(batch.targets, batch.region).flatten(1).any(1)
    rows = fit.nonzero().flatten()
    images = batch.images.clone()
    if len(rows):
        images[rows] = on_rows(target, batch, budget, rows=rows, run=partial(_run, aim=aim, climb=climb), rng=rng)
    missing = [name for name, here in zip(rng.ids, fit.tolist(), strict=True) if not here]
    what = target.model.classes[aim.victim if aim.kind == "remove" else 0]
    note = f"{len(missing)} images hold no pixel of {what} to change and stay as they are, first "
    return Attempt(images, (note + missing[0],) if missing else ())


def aim_of(attack: Callable[..., Any], classes: Sequence[str], settings: dict[str, Any]) -> Aim | None:
    """The aim of an attack with these settings, by which the engine compares its images; None for most attacks."""
    make = getattr(sys.modules.get(attack.__module__), "mask_aim", None)
    found: Aim | None = None if make is None else make(classes, **settings)
    return found


def victim_of(classes: Sequence[str], victim: int | str) -> int:
    """Index of the class meant by index or name; AttackError where there is none such, or it is the background."""
    named = [*range(1, len(classes)), *classes[1:], *map(str, range(1, len(classes)))]
    if victim not in named or isinstance(victim, bool):
        listed = ", ".join(f"{i} ({name})" for i, name in enumerate(classes) if i)
        close = nearest(victim, classes[1:]) if isinstance(victim, str) else listed
        raise AttackError("there is no such class to attack", value=victim, allowed=close)
    if victim in classes:
        return list(classes).index(str(victim))
    return int(victim)


def check_rest(rest: float) -> float:
    """The weight of the other pixels; AttackError below 0."""
    if not rest >= 0:
        raise AttackError("the setting rest is too small", value=rest, allowed="0 or more")
    return rest


def _run(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, aim: Aim, climb: Climb) -> Attempt:
    aimed = Aimed(target, batch, aim)
    own = Climb(climb.steps, climb.step_size, start=rng, slope=lambda rows, step: aimed.slope(rows))
    return ascend(aimed, batch, budget, climb=own)


def _cells(region: Tensor, truth: Tensor) -> Tensor:
    """The region in the truth's own places: cells of which some pixel may change, bool ``[n, h, w]``."""
    if region.shape == truth.shape:
        return region
    return torch.nn.functional.adaptive_max_pool2d(region.float(), truth.shape[1:]).bool()


def _share(hit: Tensor, among: Tensor) -> Tensor:
    size = among.flatten(1).sum(1).double()
    return (hit & among).flatten(1).sum(1) / size.clamp_min(1)


def _even(chosen: Tensor) -> Tensor:
    """The weight 1 in all, spread over the chosen pixels of each image."""
    size = chosen.flatten(1).sum(1).clamp_min(1).view(-1, 1, 1)
    return chosen.double() / size


def _focus(logits: Tensor, wanted: Tensor, places: Tensor) -> Tensor:
    """Weights of pixels from 0 to 1, ``[n, H, W]``: less for those to change that are far from it, 1 elsewhere.

    How far is by how much another class leads; the scale is the mean over the pixels that are not there yet.
    """
    values = logits.double()
    own, _ = one_hot(wanted, values.shape[1])
    lag = (values.masked_fill(own, -torch.inf).amax(1) - (values * own).sum(1)).clamp_min(0) * places
    scale = lag.flatten(1).sum(1) / (lag > 0).flatten(1).sum(1).clamp_min(1)
    return (-lag / scale.clamp_min(1e-30).view(-1, 1, 1) * _SHARP).exp()
