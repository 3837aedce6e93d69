"""Does the attack do what a sound attack must: fall with size, reach zero, beat one step, chance and questions?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.attacks.alarms.hiding import hidden
from percuss.attacks.alarms.probe import Alarm, Probe
from percuss.attacks.fgsm import fgsm
from percuss.attacks.moves import Place, move
from percuss.attacks.noise import noise
from percuss.attacks.pgd import pgd
from percuss.attacks.square import square
from percuss.core.budget import Norm
from percuss.core.luck import beats_luck
from percuss.core.outcome import Severity

#: Sizes (linf, grey levels of 255) at which the probing attack runs, each by itself.
LEVELS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Curve:
    """Which images PGD flips at each size, bool ``[sizes, N]``, each size attacked by itself."""

    flips: Tensor

    @property
    def at(self) -> int:
        """The size where most can be told: about half of the images flipped, the larger of two equal ones."""
        away = [(abs(float(row.double().mean()) - 0.5), -i) for i, row in enumerate(self.flips)]
        return -min(away)[1]

    @property
    def budget(self) -> str:
        """That size as a budget."""
        return f"linf={LEVELS[self.at]}/255"

    @property
    def flipped(self) -> Tensor:
        """What PGD flips there, bool ``[N]``."""
        return self.flips[self.at]


def probing_curve(probe: Probe) -> Curve:
    """PGD at every size, nothing carried from size to size."""
    return Curve(torch.stack([probe.flips(pgd, f"linf={k}/255", steps=probe.means.steps) for k in LEVELS]))


def curve_falls(probe: Probe, curve: Curve) -> Alarm:
    """More room must not leave more images right: warning above 1 point, severe above 3, of at least two images."""
    counts = [int(row.sum()) for row in curve.flips]
    lost = max([0, *(max(counts[:i]) - counts[i] for i in range(1, len(counts)))])
    share = lost / probe.count
    flagged = lost > 1 and share > 0.01
    severity: Severity = "info" if not flagged else "severe" if share > 0.03 else "warning"
    text = f"Where the size doubles, PGD loses at most {lost} of {probe.count} images it had flipped."
    evidence = {"sizes": [f"linf={k}/255" for k in LEVELS], "flipped": counts, "images": probe.count}
    return Alarm("curve-not-falling", "more room flips more", flagged, severity, text, evidence)


def unbounded_reaches_zero(probe: Probe, curve: Curve) -> Alarm:
    """With all room no image may stay right; severe where more than one in a hundred does."""
    left, whole = torch.ones(probe.count, dtype=torch.bool), probe.everywhere()  # a region may hold nothing that counts
    # Larger and larger, as on the way to a far corner gradients may die that lead over the border nearby.
    for budget, steps in (("linf=64/255", 1), ("linf=0.5", 2), ("linf=1", 2), ("none", 5)):
        some = whole.rows(left)
        flips = some.flips(pgd, budget, steps=steps * probe.means.steps)
        # Of small steps alone: large ones end anywhere, and where there is no gradient that is luck.
        if budget == "none" and probe.model.task == "heatmap":
            flips |= hidden(some, budget, 2 * steps * probe.means.steps)
        left[left.nonzero().flatten()[flips]] = False
        if not bool(left.any()):
            break
    count = int((left & ~curve.flips.any(0)).sum())
    severity: Severity = "info" if not count else "severe" if count > 0.01 * probe.count else "warning"
    text = f"Without any limit {count} of {probe.count} images do not flip."
    evidence = {"left": count, "images": probe.count}
    return Alarm("unbounded-not-zero", "without limit all flip", count > 0, severity, text, evidence)


def many_steps_beat_one(probe: Probe, curve: Curve) -> Alarm:
    """One step must not flip what many do not: warning from two images, severe above 5 %."""
    one = probe.flips(fgsm, curve.budget)
    missed = int((one & ~curve.flipped).sum())
    flagged = missed > max(1, 0.005 * probe.count)
    severity: Severity = "info" if not flagged else "severe" if missed > 0.05 * probe.count else "warning"
    text = f"At {curve.budget} one step flips {missed} of {probe.count} images that many steps do not."
    evidence = {"budget": curve.budget, "images": probe.count, "one": int(one.sum()), "many": _sum(curve)}
    return Alarm("single-step-beats-iterative", "many steps beat one", flagged, severity, text, evidence)


def questions_do_not_beat_gradients(probe: Probe, curve: Curve) -> Alarm:
    """A search without gradients must not flip what PGD does not, beyond luck (``core.luck``)."""
    held = probe.rows(~curve.flipped)
    found = int(held.flips(square, curve.budget, queries=probe.means.queries).sum())
    flagged, chance = beats_luck(found, held.count)
    text = f"At {curve.budget} questions alone flip {found} of {held.count} images that gradients do not."
    evidence = {"budget": curve.budget, "flipped": found, "of": held.count, "p": chance, "gradients": _sum(curve)}
    severity: Severity = "severe" if flagged else "info"
    return Alarm("query-beats-gradient", "gradients beat questions", flagged, severity, text, evidence)


def noise_is_weaker(probe: Probe, curve: Curve) -> Alarm:
    """Random noise of the same size must not flip an image that the attack does not."""
    held = probe.rows(~curve.flipped)
    found = int(held.flips(noise, curve.budget, draws=probe.means.draws).sum())
    flagged = found > 0.01 * probe.count
    text = f"At {curve.budget} random noise flips {found} of {held.count} images that the attack does not."
    evidence = {"budget": curve.budget, "flipped": found, "of": held.count, "draws": probe.means.draws}
    severity: Severity = "severe" if flagged else "info"
    return Alarm("noise-beats-attack", "the attack beats noise", flagged, severity, text, evidence)


def loss_converged(probe: Probe, curve: Curve) -> Alarm:
    """On images still right the margin must settle; where it does not, twice the steps must not flip over 3 % more."""
    held = probe.rows(~curve.flipped)
    moving = int((_late_gain(held, curve) > 0.05).sum()) if held.count else 0
    found = int(held.flips(pgd, curve.budget, steps=2 * probe.means.steps).sum()) if moving else 0
    flagged = found > max(2, 0.03 * probe.count)
    text = f"On {moving} of {held.count} images left the margin still grows; twice the steps flip {found} more."
    evidence = {"budget": curve.budget, "growing": moving, "of": held.count, "more": found, "steps": probe.means.steps}
    severity: Severity = "warning" if flagged else "info"
    return Alarm("not-converged", "the loss converges", flagged, severity, text, evidence)


def _late_gain(held: Probe, curve: Curve) -> Tensor:
    """Gain of the best margin over the last quarter of the steps as a share of its whole gain, ``[N]``."""
    given, eps, steps = held.given(), LEVELS[curve.at] / 255, held.means.steps
    target, gains = held.target(given), []
    for rows in torch.split(torch.arange(held.count, device=given.images.device), held.batch_size):
        images = given.images[rows]
        best: list[Tensor] = []
        place = Place.at(torch.zeros_like(images), given.room(rows), Norm.LINF)
        for step in range(steps + 1):
            logits, slope = target.gradient((images + place.change).clamp(0, 1), rows)
            margin = target.merit(logits, rows)
            best.append(margin if not best else torch.maximum(best[-1], margin))
            place = move(place, slope, Norm.LINF, eps=eps, length=2.5 * eps / steps, step=step)
        whole = (best[-1] - best[0]).clamp_min(1e-12)
        gains.append(((best[-1] - best[steps - steps // 4]) / whole).cpu())
    return torch.cat(gains)


def effort_saturates(probe: Probe, curve: Curve) -> Alarm:
    """Twice the steps with restarts must not flip many more: warning above 3 % and two images."""
    held, means = probe.rows(~curve.flipped), probe.means
    found = int(held.flips(pgd, curve.budget, steps=2 * means.steps, restarts=means.restarts).sum())
    flagged = found > max(2, 0.03 * probe.count)
    text = f"At {curve.budget} twice the steps with {means.restarts} restarts flip {found} of {held.count} more."
    evidence = {"budget": curve.budget, "more": found, "of": held.count, "restarts": means.restarts}
    severity: Severity = "warning" if flagged else "info"
    return Alarm("more-effort-gains", "more effort finds no more", flagged, severity, text, evidence)


def _sum(curve: Curve) -> int:
    return int(curve.flipped.sum())
