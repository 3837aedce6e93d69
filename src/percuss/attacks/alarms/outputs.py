"""Are the outputs logits, the same when asked again, and each image's own?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from percuss.attacks.alarms.probe import Alarm, Probe, told
from percuss.attacks.eval_mode import device_of
from percuss.core.model import decide
from percuss.core.outcome import Severity

_PASSES = 5


def repeats(probe: Probe) -> Alarm:
    """Five passes over the same images must agree to 1e-4 of the largest logit (as AutoAttack's check does)."""
    passes = torch.stack([probe.logits(probe.batch.images) for _ in range(_PASSES)])
    gap = _gap(passes, passes[0])
    decisions = torch.stack([decide(one, probe.model.task).reshape(probe.count, -1) for one in passes])
    changed = int((decisions != decisions[0]).any(2).any(0).sum())
    flagged = gap > 1e-4
    text = f"Over {_PASSES} passes logits differ by {gap:.2g} (relative); {changed} of {probe.count} decisions change."
    evidence = {"relative_difference": gap, "decisions_changed": changed, "images": probe.count}
    severity: Severity = "severe" if flagged else "info"
    return Alarm("nondeterministic-forward", "asked again, the same", flagged, severity, text, evidence)


def each_image_alone(probe: Probe) -> Alarm:
    """Logits of an image must not depend on its batch mates or their order: severe above 1 % of the largest logit."""
    images = probe.batch.images[:16]
    device = device_of(probe.model)
    with torch.no_grad():
        whole = probe.model(images.to(device)).cpu()
        turned = probe.model(images.flip(0).to(device)).cpu().flip(0)
        alone = _alone(probe, images, device)
    gap = _gap(torch.stack([turned, alone]), whole)
    half = probe.model.task
    changed = int((decide(alone, half) != decide(whole, half)).reshape(len(images), -1).any(1).sum())
    flagged = gap > 0.01
    text = f"Alone or in another order logits differ by {gap:.2g} (relative); {changed} of {len(images)} decisions do."
    evidence = {"relative_difference": gap, "decisions_changed": changed, "images": len(images)}
    severity: Severity = "severe" if flagged else "info"
    return Alarm("batch-dependent", "batch mates do not matter", flagged, severity, text, evidence)


def _alone(probe: Probe, images: Tensor, device: torch.device) -> Tensor:
    """Logits of each image alone; those of pairs with itself where a network refuses a batch of one."""
    try:
        return torch.cat([probe.model(image.unsqueeze(0).to(device)).cpu() for image in images])
    except RuntimeError:
        pairs = [probe.model(torch.stack([image, image]).to(device)).cpu()[:1] for image in images]
        return torch.cat(pairs)


def _gap(found: Tensor, wanted: Tensor) -> float:
    return told(float((found - wanted).abs().max()) / max(float(wanted.abs().max()), 1e-12))


def logits_not_probabilities(probe: Probe) -> Alarm:
    """Outputs must not all lie in [0, 1] (several classes: and sum to 1)."""
    found = probe.logits(probe.batch.images)
    inside = bool(((found >= 0) & (found <= 1 + 1e-6)).all())
    sums = bool(((found.sum(1) - 1).abs() <= 1e-3).all())
    several = probe.model.task != "multilabel" and found.shape[1] > 1
    # One logit, or some labels, with no value below 0 would call every image positive: that is a sigmoid too many.
    flagged = inside and (sums if several else probe.count >= 8)
    seen = f"from {float(found.min()):.3g} to {float(found.max()):.3g}"
    text = f"Outputs {'look like probabilities' if flagged else 'are logits'}: {seen}."
    evidence = {"smallest": told(float(found.min())), "largest": told(float(found.max())), "sum_to_one": sums}
    severity: Severity = "severe" if flagged else "info"
    return Alarm("probabilities-not-logits", "outputs are logits", flagged, severity, text, evidence)


class _Watch(TorchFunctionMode):
    """Counts calls of autograd while it is on."""

    calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.autograd.grad, torch.autograd.backward, Tensor.backward):
            self.calls += 1
        return func(*args, **(kwargs or {}))


def no_optimisation_inside(probe: Probe) -> Alarm:
    """The forward pass must not itself compute gradients (defences that optimise at test time need other attacks)."""
    given = probe.given(2)
    with torch.no_grad(), _Watch() as watch:
        probe.model(given.images)
    text = f"One forward pass calls autograd {watch.calls} times."
    severity: Severity = "warning" if watch.calls else "info"
    evidence = {"autograd_calls": watch.calls}
    return Alarm("optimises-inside", "no optimisation inside", watch.calls > 0, severity, text, evidence)
