"""Is there a gradient, is it the true one, and is the loss smooth enough to follow it?"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from percuss.attacks.alarms.probe import Alarm, Probe, told
from percuss.attacks.target import Batch
from percuss.core.dense import IGNORE, one_hot
from percuss.core.errors import NoGradientError
from percuss.core.images import DENSE
from percuss.core.losses import direction
from percuss.core.model import decide, wide_logits
from percuss.core.outcome import Severity
from percuss.core.seeds import ImageRandom

#: Images, directions and points looked at, and half the length of the lines in [0, 1] units.
_IMAGES, _DIRECTIONS, _POINTS, _REACH = 8, 8, 33, 2 / 255
#: Lengths of the finite differences, by whether they are taken in float64; the next where the last does not agree.
_STEPS = {True: (1e-7, 1e-5, 1e-4, 1e-3), False: (1e-5, 1e-4, 1e-3)}
Readout = Callable[[Tensor], Tensor]


def gradient_reaches_input(probe: Probe) -> Alarm:
    """A gradient must come back from the logits to the image at all (Carlini et al. 2019; IoAF, Pintor et al. 2022)."""
    given = probe.given(1)
    try:
        probe.target(given).gradient(given.images, torch.arange(1, device=given.images.device))
    except NoGradientError:
        text = "No gradient reaches the input: something before the logits is cut off from it or not differentiable."
        return Alarm("gradient-missing", "a gradient reaches the input", True, "severe", text, {"gradient": False})
    return Alarm("gradient-missing", "a gradient reaches the input", False, "info", "A gradient reaches the input.")


def gradient_not_zero(probe: Probe) -> Alarm:
    """The gradient of the margin must not be zero on rightly decided images: warning above 0, severe above 1 %.

    Of masks, that of the margins of all pixels together: it must not be zero at a quarter of the pixels of an image.
    """
    masks = probe.model.task in DENSE
    found = torch.cat(_gradients(probe, slope=_every_margin(probe)) if masks else _gradients(probe))
    silent = int((_zero_pixels(found == 0, probe) > 0.25).sum() if masks else (found == 0).all(1).sum())
    share = silent / max(len(found), 1)
    severity: Severity = "info" if not silent else "severe" if share > 0.01 else "warning"
    where = " at a quarter of the pixels" if masks else ""
    text = f"{silent} of {len(found)} images get a gradient of exactly zero{where}."
    evidence = {"images": len(found), "silent": silent, "zero_values": told(float((found == 0).double().mean()))}
    return Alarm("zero-gradients", "gradients are not zero", silent > 0, severity, text, evidence)


def loss_not_saturated(probe: Probe) -> Alarm:
    """The gradient of the plain cross-entropy must not underflow; Percuss's own attacks do not need it, others do.

    Of masks: not at most of the pixels that are right, which no such attack could then turn.
    """
    masks = probe.model.task in DENSE
    found = _silent_maps(probe) if masks else (torch.cat(_gradients(probe, raw=True)) == 0).all(1)
    silent = int(found.sum())
    flagged = silent > 0.5 * len(found)
    where = " at most pixels that are right" if masks else ""
    text = f"On {silent} of {len(found)} images the gradient of the cross-entropy underflows to zero{where}."
    evidence = {"images": len(found), "silent": silent}
    severity: Severity = "warning" if flagged else "info"
    return Alarm("saturated-loss", "the loss is not saturated", flagged, severity, text, evidence)


def _silent_maps(probe: Probe) -> Tensor:
    """Of which images the cross-entropy in float32 has a slope of exactly zero at most of the right pixels, ``[N]``."""
    given, found = probe.given(), []
    for rows in torch.split(torch.arange(probe.count, device=given.images.device), probe.batch_size):
        with torch.no_grad():
            logits = probe.model(given.images[rows]).detach()
        truth = given.targets[rows].long()
        with torch.enable_grad():
            point = logits.clone().requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(point, truth, ignore_index=IGNORE, reduction="sum")
            (slope,) = torch.autograd.grad(loss, point)
        right = decide(logits, "segment") == truth
        silent = right & (slope == 0).all(1)
        found.append((silent.flatten(1).sum(1) > 0.5 * right.flatten(1).sum(1)).cpu())
    return torch.cat(found)


def _zero_pixels(zero: Tensor, probe: Probe) -> Tensor:
    """Share of the pixels of each image whose channels are all zero, from bool ``[N, C * H * W]``."""
    return zero.view(len(zero), probe.batch.images.shape[1], -1).all(1).double().mean(1)


def _every_margin(probe: Probe) -> Callable[[Tensor], Callable[[Tensor], Tensor]]:
    """For some rows the slope of every pixel's best other logit less its true one, however sure the model is.

    Pixels without a judgement count by what is decided there: the model is asked, not the truth.
    """

    def of(rows: Tensor) -> Callable[[Tensor], Tensor]:
        def slope(logits: Tensor) -> Tensor:
            truth = probe.batch.targets[rows.cpu()].to(logits.device)
            shown = torch.where(truth == IGNORE, decide(logits, "segment").to(truth.dtype), truth)
            own, _ = one_hot(shown, logits.shape[1])
            best = logits.masked_fill(own, -torch.inf).argmax(1, keepdim=True)
            return torch.zeros_like(logits).scatter_(1, best, 1.0) - own.to(logits)

        return slope

    return of


def _gradients(
    probe: Probe, *, raw: bool = False, slope: Callable[[Tensor], Callable[[Tensor], Tensor]] | None = None
) -> list[Tensor]:
    given = probe.given()
    target = probe.target(given)
    parts = torch.split(torch.arange(probe.count, device=given.images.device), probe.batch_size)
    found = []
    for rows in parts:
        uphill = None if slope is None else slope(rows)
        found.append(target.gradient(given.images[rows], rows, raw=raw, slope=uphill)[1].flatten(1).cpu())
    return found


def finite_differences_agree(probe: Probe) -> Alarm:
    """Slopes along random directions by two forward passes must be those of autograd.

    In float64 on a copy where that can be; the median over images of the relative error over 8 directions, at the
    best of some step lengths: warning above 5 %, severe above 20 %.
    """
    given = probe.given(_IMAGES)
    try:
        errors = _errors(probe, given, double=True)
    except Exception:  # a network of the user's that cannot be copied, or not be run in float64
        errors = _errors(probe, given, double=False)
    error = told(float(errors.median()))
    severity: Severity = "severe" if error > 0.2 else "warning" if error > 0.05 else "info"
    text = f"Slopes by finite differences differ from the gradient by {error:.2g} (median, relative)."
    evidence = {"median_error": error, "worst_error": told(float(errors.max())), "images": len(errors)}
    return Alarm("gradient-disagrees", "finite differences agree", error > 0.05, severity, text, evidence)


def _errors(probe: Probe, given: Batch, *, double: bool) -> Tensor:
    rng = ImageRandom(probe.seed, probe.batch.ids[: len(given.images)], "finite differences")
    # Beside the image: in its flat parts, a maximum over equal values has a kink, where no gradient is the right one.
    near = given.images + rng.uniform(given.images.shape[1:], -1e-3, 1e-3).to(given.images)
    images = near.double() if double else near
    ask = _readout(probe, given, double=double)
    with torch.enable_grad():
        point = images.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(ask(point).sum(), point)
    ways = [rng.uniform(images.shape[1:], -1, 1).to(images).sign() for _ in range(_DIRECTIONS)]
    wanted = torch.stack([(slope * way).flatten(1).sum(1) for way in ways], 1)
    best = torch.full((len(images),), torch.inf, dtype=torch.float64)
    for step in _STEPS[double]:
        if bool((best <= 0.05).all()):
            break
        with torch.no_grad():
            seen = torch.stack([(ask(images + step * way) - ask(images - step * way)) / (2 * step) for way in ways], 1)
        scale = torch.maximum(seen.norm(dim=1), wanted.norm(dim=1))
        error = torch.where(scale > 1e-12, (seen - wanted).norm(dim=1) / scale.clamp_min(1e-12), 0.0)
        best = torch.minimum(best, error.double().cpu())
    return best


def _readout(probe: Probe, given: Batch, *, double: bool) -> Readout:
    """A fixed weighting of the logits, one number per image: the direction of attack at the clean image."""
    with torch.no_grad():
        weights = direction(probe.model(given.images), given.targets, probe.model.task)
    if not double:
        return lambda images: (probe.model(images) * weights).flatten(1).sum(1)
    # The network is asked itself, as Model gives its logits in float32.
    exact = copy.deepcopy(probe.model).double().eval()

    def asked(images: Tensor) -> Tensor:
        logits = exact.network((images - exact.mean) / exact.std)
        # Of a heat map the network gives one logit for each cell, the model two.
        wide = wide_logits(logits) if exact.task == "heatmap" else logits
        return (wide * weights.double()).flatten(1).sum(1)

    return asked


def loss_is_smooth(probe: Probe) -> Alarm:
    """Along short random lines the loss must look like a curve, not like noise or stairs: severe above one half.

    Roughness: sum of absolute second differences over sum of absolute first differences at 33 points over 4/255,
    median over images. A parabola has 0.2, stairs have 2, white noise 1.7. It stands in for IoAF's noisy-loss test,
    whose relative change also flags honest models that are merely sensitive.
    """
    given = probe.given(_IMAGES)
    ask = _readout(probe, given, double=False)
    rng = ImageRandom(probe.seed, probe.batch.ids[: len(given.images)], "lines")
    way = rng.uniform(given.images.shape[1:], -1, 1).to(given.images).sign()
    with torch.no_grad():
        places = torch.linspace(-_REACH, _REACH, _POINTS).tolist()
        line = torch.stack([ask(given.images + place * way) for place in places], 1).double().cpu()
    first = line.diff(dim=1).abs().sum(1)
    second = line.diff(n=2, dim=1).abs().sum(1)
    # What float32 cannot tell from flat is no roughness; flat is the business of the zero gradients.
    flat = first <= 1e-3 * line.abs().amax(1)
    rough = torch.where(flat, 0.0, second / first.clamp_min(1e-30))
    found = told(float(rough.median()))
    text = f"Along short lines the loss has a roughness of {found:.2g} (0 straight, 1.7 noise, 2 stairs)."
    evidence = {
        "median": found,
        "largest": told(float(rough.max())),
        "flat_images": int(flat.sum()),
        "images": len(rough),
    }
    severity: Severity = "severe" if found > 0.5 else "info"
    return Alarm("noisy-loss", "the loss is smooth", found > 0.5, severity, text, evidence)
