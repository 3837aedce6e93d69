"""All alarms on one model and a few images; flagged ones become findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from percuss.attacks.alarms import gradients, outputs, strength
from percuss.attacks.alarms.probe import Alarm, Probe, means_of, rightly_decided
from percuss.attacks.bpda import approximations
from percuss.attacks.eval_mode import device_of, frozen
from percuss.core.errors import PercussError
from percuss.core.images import Tensors
from percuss.core.model import Model
from percuss.core.outcome import Finding

#: Ids that the alarms can raise, and one for a check that could not be made.
IDS = (
    "gradient-missing",
    "zero-gradients",
    "saturated-loss",
    "gradient-disagrees",
    "noisy-loss",
    "nondeterministic-forward",
    "batch-dependent",
    "probabilities-not-logits",
    "optimises-inside",
    "curve-not-falling",
    "unbounded-not-zero",
    "single-step-beats-iterative",
    "query-beats-gradient",
    "noise-beats-attack",
    "not-converged",
    "more-effort-gains",
    "stored-image-differs",
    "backward-approximation",
    "check-failed",
)
_RANK = {"info": 0, "warning": 1, "severe": 2}


def run_alarms(
    model: Model, batch: Tensors, *, seed: int = 0, batch_size: int = 32, effort: str = "standard", most: int = 64
) -> list[dict[str, Any]]:
    """Every check on the first rightly decided images; changes of linf, whatever the audit's norms.

    Args:
        model: attacked in eval mode with frozen parameters; both are put back afterwards.
        batch: images with targets, 16 to 64 of them will do. With a region, the attacks that are compared change
            pixels there alone; outputs, gradients and the attack without limit are looked at on the whole image.
        seed: decides all randomness.
        batch_size: images at a time.
        effort: ``quick``, ``standard`` or ``thorough``: steps, restarts, queries and draws per image.
        most: how many images are looked at.

    Returns:
        One record per check, flagged or not, as plain values: id, check, flagged, severity, message, evidence.
        Empty where no image is decided rightly.
    """
    means = means_of(effort)
    place = device_of(model)
    with frozen(model), torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        # A model may draw by itself: the alarms of a run are the same whenever they run.
        torch.manual_seed(seed)
        chosen = rightly_decided(model, batch, most)
        if not chosen.ids:
            return []
        probe = Probe(model, chosen, seed, batch_size, means)
        whole = probe.everywhere()
        found = _of_outputs(whole) + _of_gradients(whole)
        if not any(item.flagged and item.id == "gradient-missing" for item in found):
            found += _of_strength(probe)
    return [asdict(item) for item in found]


def alarm_findings(records: Iterable[dict[str, Any]], known: Sequence[Finding] = ()) -> list[Finding]:
    """Flagged records as findings, behind those known already; of one id the graver stays."""
    found = {item.id: item for item in known}
    for record in records:
        if not record["flagged"]:
            continue
        new = Finding(record["id"], record["severity"], record["message"], dict(record["evidence"]))
        old = found.get(new.id)
        if old is None or _RANK[new.severity] > _RANK[old.severity]:
            found[new.id] = new
    return list(found.values())


def _of_outputs(probe: Probe) -> list[Alarm]:
    checks = (
        outputs.repeats,
        outputs.each_image_alone,
        outputs.logits_not_probabilities,
        outputs.no_optimisation_inside,
    )
    return [_tried(check.__name__, lambda check=check: check(probe)) for check in checks]  # type: ignore[misc]


def _of_gradients(probe: Probe) -> list[Alarm]:
    reached = _tried("gradient_reaches_input", lambda: gradients.gradient_reaches_input(probe))
    if reached.flagged:
        return [reached]
    checks = [gradients.gradient_not_zero, gradients.loss_not_saturated, gradients.loss_is_smooth]
    named = approximations(probe.model)
    if not named:
        checks.append(gradients.finite_differences_agree)
    found = [reached, *(_tried(check.__name__, lambda check=check: check(probe)) for check in checks)]  # type: ignore[misc]
    if named:
        text = f"Gradients go through a stand-in for {', '.join(named)}; finite differences were not compared."
        found.append(Alarm("backward-approximation", "stand-ins for gradients", True, "info", text, {"steps": named}))
    return found


def _of_strength(probe: Probe) -> list[Alarm]:
    checks = (
        strength.curve_falls,
        strength.unbounded_reaches_zero,
        strength.many_steps_beat_one,
        strength.questions_do_not_beat_gradients,
        strength.noise_is_weaker,
        strength.loss_converged,
        strength.effort_saturates,
    )
    try:
        curve = strength.probing_curve(probe)
    except PercussError as error:
        return [_failed("probing_curve", error)]
    return [_tried(check.__name__, lambda check=check: check(probe, curve)) for check in checks]  # type: ignore[misc]


def _tried(name: str, check: Callable[[], Alarm]) -> Alarm:
    """A check that cannot be made is itself a doubt, and ends no audit."""
    try:
        return check()
    except PercussError as error:
        return _failed(name, error)


def _failed(name: str, error: PercussError) -> Alarm:
    text = f"The check {name} could not be made: {error}"
    return Alarm("check-failed", name.replace("_", " "), True, "warning", text, {"check": name})
