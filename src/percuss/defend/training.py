"""One training loop: Fabric for devices and precision, a checkpoint each epoch, the best weights at the end."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.model import Model
from percuss.core.seeds import seed_of
from percuss.defend.judging import judged, scores
from percuss.defend.keeping import keep_weights
from percuss.defend.pool import Drawn, Pool
from percuss.defend.preparing import check_data, fingerprint, make_fabric, torch_threads
from percuss.defend.recipe import Plain, Turn, to_device
from percuss.defend.records import Epoch, Teller, TrainData, TrainResult
from percuss.defend.resume import read_last, write_last
from percuss.defend.settings import TrainSettings
from percuss.defend.stepping import ClassLoss, decay_factor, make_loss, make_optimiser, rate_factor

__all__ = ["Epoch", "TrainData", "TrainResult", "fit", "scores"]


@dataclass
class _State:
    """What changes from epoch to epoch."""

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    before: Epoch | None = None


@dataclass(frozen=True)
class _Loop:
    """What stays."""

    recipe: Plain
    fabric: Fabric
    model: Model
    wrapped: nn.Module
    optimiser: Any
    loss: ClassLoss
    data: TrainData
    pool: Pool
    settings: TrainSettings
    say: Teller


def fit(
    model: Model,
    data: TrainData,
    settings: TrainSettings,
    *,
    out: Path,
    progress: Teller,
    recipe: Plain | None = None,
) -> TrainResult:
    """Train a model in place; afterwards it holds the weights of the best epoch (of the lowest validation loss).

    A stopped or killed training in ``out`` goes on after its last full epoch, with the same weights as if it had
    never stopped (on the processor; a GPU may round differently).

    Args:
        model: trained in place; its start belongs to the identity of the training.
        data: training and validation images, float32 in [0, 1] ``[N, C, H, W]``.
        settings: see ``TrainSettings``.
        out: folder for ``last.pt``.
        progress: told what happens.
        recipe: what is done with each batch, and which epoch is best; plain training where None.

    Raises:
        DataError: no images, or training and validation images of different shape.
        ModelError: the loss is not finite.
        RunError: ``out`` holds another training, or cannot be written.
        UsageError: the device or precision is not there.
    """
    check_data(data)
    way = recipe or Plain()
    with torch_threads(settings.threads):
        identity = {
            "settings": _identity(settings, way),
            "images": fingerprint(data.train, data.val),
            "model": model.fingerprint(),
        }
        found = read_last(out, identity)
        loop = _begin(model, data, settings, say=progress, recipe=way)
        state = _restore(loop, found) if found else _State(before=_before(loop))
        if not _over(state, loop):
            _run(loop, state, out, identity)
        model.load_state_dict(state.best)
        model.to(memory_format=torch.contiguous_format)
        model.zero_grad(set_to_none=True)
        model.eval()
    fabric = loop.fabric
    early = len(state.history) < settings.epochs
    main = fabric.is_global_zero
    return TrainResult(tuple(state.history), state.best_epoch, fabric.device.type, early, main, state.before)


def _identity(settings: TrainSettings, recipe: Plain) -> str:
    ours, more = settings.identity(), recipe.identity()
    return hashlib.sha256(f"{ours} {more}".encode()).hexdigest() if more else ours


def _begin(model: Model, data: TrainData, settings: TrainSettings, *, say: Teller, recipe: Plain) -> _Loop:
    fabric = make_fabric(settings)
    model.to(memory_format=torch.channels_last)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    wrapped, optimiser = fabric.setup(model, make_optimiser(weights, settings))
    pool = Pool.of(data.train.targets, settings)
    loss = make_loss(model, data.train.targets[pool.rows], weighted=settings.class_weights).to(fabric.device)
    return _Loop(recipe, fabric, model, wrapped, optimiser, loss, data, pool, settings, say)


def _restore(loop: _Loop, found: dict[str, Any]) -> _State:
    history = [Epoch(**row) for row in found["history"]]
    before = found.get("before")
    state = _State(history, found["best_epoch"], found["best_loss"], found["best"], Epoch(**before) if before else None)
    if _over(state, loop):
        loop.say.line(f"the training was finished before, after {len(history)} epochs")
        return state
    loop.say.line(f"going on after epoch {len(history)} of {loop.settings.epochs}")
    loop.model.load_state_dict(found["model"])
    loop.optimiser.load_state_dict(found["optimiser"])
    loop.fabric.strategy.precision.load_state_dict(found["scaler"])
    loop.recipe.restore(found.get("recipe", {}))
    return state


def _before(loop: _Loop) -> Epoch | None:
    """How good the model is before the first step; not asked by plain training."""
    return _judged(loop, Epoch(0, 0.0, 0.0, 0.0, 0.0, 0.0)) if loop.recipe.hardens else None


def _over(state: _State, loop: _Loop) -> bool:
    waited, settings = len(state.history) - state.best_epoch, loop.settings
    if len(state.history) >= settings.epochs or (settings.patience is not None and waited >= settings.patience):
        return True
    return loop.recipe.ending(state.history) is not None


def _run(loop: _Loop, state: _State, out: Path, identity: dict[str, str]) -> None:
    loop.fabric.barrier()
    if not state.history:
        _keep(loop, out, 0)
    while not _over(state, loop):
        number, begun = len(state.history), time.monotonic()
        learnt = _epoch(loop, number)
        row = replace(_judged(loop, learnt), seconds=time.monotonic() - begun)
        state.history.append(row)
        score = loop.recipe.score(row)
        if score < state.best_loss - loop.settings.min_delta:
            state.best_epoch, state.best_loss = number + 1, score
            state.best = {name: value.detach().cpu().clone() for name, value in loop.model.state_dict().items()}
        _keep(loop, out, number + 1)
        if loop.fabric.is_global_zero:
            write_last(out, _saved(loop, state, identity))
            loop.say.line(_told(loop, state))
        loop.fabric.barrier()


def _keep(loop: _Loop, out: Path, epoch: int) -> None:
    if loop.settings.keep_weights and loop.fabric.is_global_zero:
        keep_weights(loop.model, out, epoch)


def _saved(loop: _Loop, state: _State, identity: dict[str, str]) -> dict[str, Any]:
    kept = {
        "identity": identity,
        "history": [vars(row) for row in state.history],
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "best": state.best,
        "before": None if state.before is None else vars(state.before),
    }
    # A finished training is never gone on with, so its optimiser would only take room.
    if _over(state, loop):
        return kept
    return kept | {
        "model": loop.model.state_dict(),
        "optimiser": loop.optimiser.state_dict(),
        "scaler": loop.fabric.strategy.precision.state_dict(),
        "recipe": loop.recipe.state(),
    }


def _told(loop: _Loop, state: _State) -> str:
    row = state.history[-1]
    best = " (best so far)" if state.best_epoch == row.epoch else ""
    robust = "" if row.robust_accuracy is None else f"robust {100 * row.robust_accuracy:.1f} %, "
    robust = robust if row.robust_dice is None else f"robust {row.robust_dice:.3f}, "
    robust = robust if row.robust_auc_pr is None else f"robust {row.robust_auc_pr:.3f}, "
    good = f"accuracy {100 * row.val_accuracy:.1f} %" if row.val_dice is None else f"Dice {row.val_dice:.3f}"
    good = good if row.val_auc_pr is None else f"AUC-PR {row.val_auc_pr:.3f}"
    return (
        f"epoch {row.epoch} of {loop.settings.epochs}: loss {row.train_loss:.4f}, validation loss {row.val_loss:.4f}, "
        f"{good}, {robust}{row.seconds:.1f} s{best}"
    )


def _epoch(loop: _Loop, number: int) -> Epoch:
    """One pass over the training images or their share; its row without what validation finds."""
    settings, fabric = loop.settings, loop.fabric
    # Everything random in an epoch follows from seed and epoch, so that a resumed training draws the same.
    generator = torch.Generator().manual_seed(seed_of(settings.seed, "epoch", number))
    order = loop.pool.order(settings, generator)
    batches = _batches(order, settings.batch_size, fabric.world_size)
    loop.wrapped.train()
    # Loss, clean images, attacked images.
    total = torch.zeros(3, dtype=torch.float64, device=fabric.device)
    if fabric.is_global_zero:
        loop.say.start(f"epoch {number + 1} of {settings.epochs}", len(batches))
    try:
        with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
            torch.manual_seed(seed_of(settings.seed, "dropout", number, fabric.global_rank))
            for step, batch in enumerate(batches):
                rate = settings.rate * rate_factor(settings, number + (step + 1) / len(batches))
                for group in loop.optimiser.param_groups:
                    group["lr"] = rate * decay_factor(settings, number * len(batches) + step)
                turn = _turn(loop, batch, generator, number=number, seen=step * len(batches[0]))
                done = loop.recipe.turn(turn)
                total += torch.stack([done.loss.double(), *total.new_tensor([done.clean, done.adversarial])])
                if fabric.is_global_zero:
                    loop.say.advance()
                if not bool(torch.isfinite(total).all()):
                    raise ModelError(
                        "the training loss is not finite",
                        value=f"epoch {number + 1}, step {step + 1}",
                        next_step=f"lower --lr (it is {settings.rate:g}), or give --precision 32",
                    )
    finally:
        loop.say.stop()
    summed: Any = fabric.all_reduce(total, reduce_op="sum")
    loss, clean, attacked = summed.tolist()
    counts = {"clean_images": int(clean), "adversarial_images": int(attacked)} if loop.recipe.hardens else {}
    last = float(loop.optimiser.param_groups[0]["lr"])
    return Epoch(number + 1, last, loss / len(batches) / fabric.world_size, 0.0, 0.0, 0.0, **counts)


def _batches(order: Tensor, size: int, world: int) -> list[Tensor]:
    """The order in portions of equal shares for each device.

    A last portion of one image is left out (another image each epoch): batch norm has no variance of one value.
    """
    portions = [part[: len(part) // world * world] for part in torch.split(order, max(size, world))]
    return [part for part in portions if len(part) > world or len(part) == len(order)] or [order]


def _turn(loop: _Loop, batch: Tensor, generator: torch.Generator, *, number: int, seen: int) -> Turn:
    fabric, train, settings = loop.fabric, loop.data.train, loop.settings
    rows = loop.pool.rows[batch]
    ids = [train.ids[row] for row in rows.tolist()]
    drawn = Drawn(ids, train.images[rows], train.targets[rows])
    drawn = loop.pool.augmented(drawn, batch, settings=settings, generator=generator)
    mine = slice(fabric.global_rank, None, fabric.world_size)
    return Turn(
        fabric=fabric,
        model=loop.model,
        wrapped=loop.wrapped,
        optimiser=loop.optimiser,
        loss=loop.loss,
        images=to_device(drawn.images[mine], fabric.device),
        targets=drawn.targets[mine].to(fabric.device),
        ids=ids[mine],
        epoch=number,
        seen=seen // fabric.world_size,
        seed=settings.seed,
    )


def _judged(loop: _Loop, row: Epoch) -> Epoch:
    """The row with loss, accuracy and what the recipe asks for, on the validation images."""
    val, size = loop.data.val, loop.settings.batch_size
    found = judged(loop.model, loop.loss, val, batch_size=size) | loop.recipe.judge(loop.model, val, batch_size=size)
    # Batch norm statistics differ a little between devices; all must agree on when to stop, so the first decides.
    found = loop.fabric.broadcast(found)
    if not math.isfinite(found["val_loss"]):
        raise ModelError("the validation loss is not finite", value=found["val_loss"], next_step="lower --lr")
    return replace(row, **found)  # type: ignore[arg-type]
