"""One training loop: Fabric for devices and precision, a checkpoint each epoch, the best weights at the end."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from percuss.core.errors import DataError, ModelError, UsageError
from percuss.core.model import Model, is_right
from percuss.core.seeds import seed_of
from percuss.defend.flips import flips
from percuss.defend.records import Epoch, Teller, TrainData, TrainResult
from percuss.defend.resume import read_last, write_last
from percuss.defend.settings import TrainSettings
from percuss.defend.stepping import make_loss, make_optimiser, rate_factor

__all__ = ["Epoch", "TrainData", "TrainResult", "fit", "scores"]

_PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass
class _State:
    """What changes from epoch to epoch."""

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Loop:
    """What stays."""

    fabric: Fabric
    model: Model
    wrapped: nn.Module
    optimiser: Any
    loss: nn.Module
    data: TrainData
    settings: TrainSettings
    say: Teller


def fit(model: Model, data: TrainData, settings: TrainSettings, *, out: Path, progress: Teller) -> TrainResult:
    """Train a model in place; afterwards it holds the weights with the lowest validation loss.

    A stopped or killed training in ``out`` goes on after its last full epoch, with the same weights as if it had
    never stopped (on the processor; a GPU may round differently).

    Args:
        model: trained in place; its start belongs to the identity of the training.
        data: training and validation images, float32 in [0, 1] ``[N, C, H, W]``.
        settings: see ``TrainSettings``.
        out: folder for ``last.pt``.
        progress: told what happens.

    Raises:
        DataError: no images, or training and validation images of different shape.
        ModelError: the loss is not finite.
        RunError: ``out`` holds another training, or cannot be written.
        UsageError: the device or precision is not there.
    """
    _check(data)
    with _threads(settings.threads):
        identity = {
            "settings": settings.identity(),
            "images": _fingerprint(data),
            "model": model.fingerprint(),
        }
        found = read_last(out, identity)
        loop = _begin(model, data, settings, progress)
        state = _restore(loop, found) if found else _State()
        if not _over(state, settings):
            _run(loop, state, out, identity)
        model.load_state_dict(state.best)
        model.to(memory_format=torch.contiguous_format)
        model.zero_grad(set_to_none=True)
        model.eval()
    fabric = loop.fabric
    early = len(state.history) < settings.epochs
    return TrainResult(tuple(state.history), state.best_epoch, fabric.device.type, early, fabric.is_global_zero)


@torch.no_grad()
def scores(model: Model, images: Tensor, *, batch_size: int = 64) -> Tensor:
    """Logits of the model for all images, float32 on the CPU; the model is left in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device)).float().cpu() for part in torch.split(images, batch_size)])


def _check(data: TrainData) -> None:
    for name, part in (("training", data.train), ("validation", data.val)):
        if not part.ids:
            raise DataError(f"there are no {name} images", next_step="look at the data spec and its splits")
    ours, theirs = tuple(data.train.images.shape[1:]), tuple(data.val.images.shape[1:])
    if ours != theirs:
        raise DataError(
            "training and validation images differ in shape",
            value=f"{ours} and {theirs}",
            next_step="give one size and one channel count, for instance ?size=224&channels=rgb",
        )


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def _fingerprint(data: TrainData) -> str:
    digest = hashlib.sha256()
    for part in (data.train, data.val):
        digest.update("\0".join(part.ids).encode())
        for values in (part.targets, part.images):
            digest.update(f"{tuple(values.shape)}{values.dtype}".encode())
            digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()


def _begin(model: Model, data: TrainData, settings: TrainSettings, say: Teller) -> _Loop:
    fabric = _fabric(settings)
    model.to(memory_format=torch.channels_last)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    wrapped, optimiser = fabric.setup(model, make_optimiser(weights, settings))
    loss = make_loss(model, data.train.targets, weighted=settings.class_weights).to(fabric.device)
    return _Loop(fabric, model, wrapped, optimiser, loss, data, settings, say)


def _fabric(settings: TrainSettings) -> Fabric:
    there = torch.cuda.device_count()
    device = ("cuda" if there else "cpu") if settings.device == "auto" else settings.device
    if device == "cuda" and there < settings.devices:
        raise UsageError(
            "so many GPUs are not there", value=settings.devices, allowed=f"{there}", next_step="give --device cpu"
        )
    if device == "cpu" and settings.precision == "16":
        raise UsageError("16-bit precision needs a GPU", value="16", allowed="32, bf16 on the processor")
    fabric = Fabric(
        accelerator=device,
        devices=settings.devices,
        strategy="ddp" if settings.devices > 1 else "auto",
        precision=_PRECISIONS[settings.precision],
    )
    fabric.launch()
    return fabric


def _restore(loop: _Loop, found: dict[str, Any]) -> _State:
    history = [Epoch(**row) for row in found["history"]]
    state = _State(history, found["best_epoch"], found["best_loss"], found["best"])
    if _over(state, loop.settings):
        loop.say.line(f"the training was finished before, after {len(history)} epochs")
        return state
    loop.say.line(f"going on after epoch {len(history)} of {loop.settings.epochs}")
    loop.model.load_state_dict(found["model"])
    loop.optimiser.load_state_dict(found["optimiser"])
    loop.fabric.strategy.precision.load_state_dict(found["scaler"])
    return state


def _over(state: _State, settings: TrainSettings) -> bool:
    waited = len(state.history) - state.best_epoch
    return len(state.history) >= settings.epochs or (settings.patience is not None and waited >= settings.patience)


def _run(loop: _Loop, state: _State, out: Path, identity: dict[str, str]) -> None:
    loop.fabric.barrier()
    while not _over(state, loop.settings):
        number, begun = len(state.history), time.monotonic()
        train_loss = _epoch(loop, number)
        val_loss, accuracy = _validate(loop)
        rate = float(loop.optimiser.param_groups[0]["lr"])
        state.history.append(Epoch(number + 1, rate, train_loss, val_loss, accuracy, time.monotonic() - begun))
        if val_loss < state.best_loss:
            state.best_epoch, state.best_loss = number + 1, val_loss
            state.best = {name: value.detach().cpu().clone() for name, value in loop.model.state_dict().items()}
        if loop.fabric.is_global_zero:
            write_last(out, _saved(loop, state, identity))
            loop.say.line(_told(loop, state))
        loop.fabric.barrier()


def _saved(loop: _Loop, state: _State, identity: dict[str, str]) -> dict[str, Any]:
    kept = {
        "identity": identity,
        "history": [vars(row) for row in state.history],
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "best": state.best,
    }
    # A finished training is never gone on with, so its optimiser would only take room.
    if _over(state, loop.settings):
        return kept
    return kept | {
        "model": loop.model.state_dict(),
        "optimiser": loop.optimiser.state_dict(),
        "scaler": loop.fabric.strategy.precision.state_dict(),
    }


def _told(loop: _Loop, state: _State) -> str:
    row = state.history[-1]
    best = " (best so far)" if state.best_epoch == row.epoch else ""
    return (
        f"epoch {row.epoch} of {loop.settings.epochs}: loss {row.train_loss:.4f}, validation loss {row.val_loss:.4f}, "
        f"accuracy {100 * row.val_accuracy:.1f} %, {row.seconds:.1f} s{best}"
    )


def _epoch(loop: _Loop, number: int) -> float:
    """One pass over the training images; the mean loss."""
    settings, fabric = loop.settings, loop.fabric
    # Everything random in an epoch follows from seed and epoch, so that a resumed training draws the same.
    generator = torch.Generator().manual_seed(seed_of(settings.seed, "epoch", number))
    order = torch.randperm(len(loop.data.train.ids), generator=generator)
    batches = _batches(order, settings.batch_size, fabric.world_size)
    loop.wrapped.train()
    total = torch.zeros((), device=fabric.device)
    if fabric.is_global_zero:
        loop.say.start(f"epoch {number + 1} of {settings.epochs}", len(batches))
    try:
        with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
            torch.manual_seed(seed_of(settings.seed, "dropout", number, fabric.global_rank))
            for step, batch in enumerate(batches):
                for group in loop.optimiser.param_groups:
                    group["lr"] = settings.rate * rate_factor(settings, number + (step + 1) / len(batches))
                total += _step(loop, batch, generator)
                if fabric.is_global_zero:
                    loop.say.advance()
                if not bool(torch.isfinite(total)):
                    raise ModelError(
                        "the training loss is not finite",
                        value=f"epoch {number + 1}, step {step + 1}",
                        next_step=f"lower --lr (it is {settings.rate:g}), or give --precision 32",
                    )
    finally:
        loop.say.stop()
    mean: Any = fabric.all_reduce(total / len(batches), reduce_op="mean")
    return float(mean)


def _batches(order: Tensor, size: int, world: int) -> list[Tensor]:
    """The order in portions of equal shares for each device.

    A last portion of one image is left out (another image each epoch): batch norm has no variance of one value.
    """
    portions = [part[: len(part) // world * world] for part in torch.split(order, max(size, world))]
    return [part for part in portions if len(part) > world or len(part) == len(order)] or [order]


def _step(loop: _Loop, batch: Tensor, generator: torch.Generator) -> Tensor:
    fabric, train = loop.fabric, loop.data.train
    images = train.images[batch]
    if loop.settings.augment == "flips":
        images = flips(images, generator)
    mine = slice(fabric.global_rank, None, fabric.world_size)
    images = images[mine].to(fabric.device, memory_format=torch.channels_last)
    targets = train.targets[batch][mine].to(fabric.device)
    loop.optimiser.zero_grad(set_to_none=True)
    loss: Tensor = loop.loss(loop.wrapped(images), targets)
    if not loss.requires_grad:
        raise ModelError(
            "no gradient reaches the weights of the model, so it cannot be trained",
            value=loop.model.info.spec,
            allowed="a forward without detach or no_grad, and weights that may change",
            next_step="train the network without that step",
        )
    fabric.backward(loss)
    loop.optimiser.step()
    return loss.detach()


def _validate(loop: _Loop) -> tuple[float, float]:
    """Loss and accuracy on the validation images."""
    val = loop.data.val
    logits = scores(loop.model, val.images, batch_size=loop.settings.batch_size)
    loss = float(loop.loss(logits.to(loop.fabric.device), val.targets.to(loop.fabric.device)))
    accuracy = float(is_right(logits, val.targets, loop.model.task).float().mean())
    # Batch norm statistics differ a little between devices; all must agree on when to stop, so the first decides.
    found: tuple[float, float] = loop.fabric.broadcast((loss, accuracy))
    if not math.isfinite(found[0]):
        raise ModelError("the validation loss is not finite", value=found[0], next_step="lower --lr")
    return found
