"""The units of a universal change: clean passes, epochs of the search, and the judging of portions of images."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from percuss.attacks.eval_mode import frozen
from percuss.attacks.target import Batch
from percuss.attacks.universal_search import Setup, UniversalState, advance, apply_change, calibrate
from percuss.core import dense
from percuss.core.budget import Budget
from percuss.core.errors import DataError
from percuss.core.images import DENSE, Tensors
from percuss.core.losses import cross_entropy, margin
from percuss.core.model import Model, decide, is_right
from percuss.core.seeds import ImageRandom, seed_of
from percuss.core.shuffle import shuffle_pixels
from percuss.core.stored import as_stored
from percuss.pipeline import heat
from percuss.pipeline.inputs import Chosen, read_chunk
from percuss.pipeline.parts import texts
from percuss.pipeline.plan import CHUNK
from percuss.pipeline.progress import Progress
from percuss.store.folder import RunFolder

#: Training images up to this size in all are held in memory; more are read again for each step.
HELD_BYTES = 2**30
HISTORY = "parts/history.parquet"


@dataclass
class Search:
    """A search at work: images by split, the model on its device, what decides it, the run folder.

    ``judge`` names the model where it is another than the one the change is made on.
    """

    sets: dict[str, Chosen]
    train: Chosen
    model: Model
    device: torch.device
    budget: Budget
    setup: Setup
    epochs: int
    seed: int
    batch_size: int
    folder: RunFolder
    judge: str = ""
    held: dict[str, tuple[Tensor, Tensor, Tensor | None]] = field(default_factory=dict)

    def part(self, kind: str, *what: object) -> str:
        """Name of a part: a hash of the run's identity and of what the part computes."""
        text = json.dumps([self.folder.manifest["identity"], kind, what, *([self.judge] if self.judge else [])])
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def images(self, ids: Sequence[str]) -> Batch:
        """Training images, from memory where all of them fit in."""
        if not self.held and len(self.train.ids) * math.prod(self.train.shape) * 4 <= HELD_BYTES:
            for chunk in self.train.chunks:
                batch = read_chunk(self.train, chunk)
                regions = [None] * len(batch.ids) if batch.region is None else list(batch.region)
                rows = zip(batch.images, batch.targets, regions, strict=True)
                self.held |= dict(zip(batch.ids, rows, strict=True))
        if self.held:
            images, targets, found = zip(*(self.held[name] for name in ids), strict=True)
            limits = [region for region in found if region is not None]
            return Batch(torch.stack(images), torch.stack(targets), torch.stack(limits) if limits else None)
        batch = read_chunk(self.train, ids)
        return Batch(batch.images, batch.targets, batch.region)


def clean_part(work: Search, split: str, ids: tuple[str, ...]) -> pd.DataFrame:
    """id, group, label, prediction and correct of the images that can be read."""
    key = work.part("clean", split, list(ids))
    found = work.folder.read_part(key)
    if found is None:
        batch = read_chunk(work.sets[split], ids)
        logits = _logits(work, batch.images)
        found = pd.DataFrame(
            {
                "id": batch.ids,
                "group": [group or "" for group in batch.groups],
                "label": texts(batch.targets),
                "prediction": texts(decide(logits, work.model.task)),
                "correct": is_right(logits, batch.targets, work.model.task).numpy(),
            }
        )
        found.attrs = {"bad": [{"id": item.id, "reason": item.reason} for item in batch.bad]}
        work.folder.write_table(f"parts/{key}.parquet", found)
    return found


def _logits(work: Search, images: Tensor, at_once: int | None = None) -> Tensor:
    size = work.batch_size if at_once is None else at_once
    with torch.inference_mode(), frozen(work.model):
        parts = [work.model(part.to(work.device)).cpu() for part in torch.split(images, size) if len(part)]
    return torch.cat(parts) if parts else torch.zeros(0, work.model.outputs[0])


def search(work: Search, readable: Sequence[str], say: Progress) -> tuple[Tensor, pd.DataFrame]:
    """The change ``[1, C, H, W]`` and the history (a row per epoch); goes on after the last finished epoch.

    ``sgd`` gives its last iterate, as published; ``batched`` the epoch that flips most training images, of heat maps
    the one with the highest mean cross-entropy.
    """
    if not readable:
        raise DataError("no training image can be read", value=work.train.images.spec, next_step="mend the files")
    state, best, history = _resume(work)
    setup = calibrate(work.model, work.images(readable[:64]), work.setup)
    if len(history) < work.epochs:
        say.line(f"{setup.method} search over {len(readable)} training images, epoch {len(history) + 1}")
    for epoch in range(len(history), work.epochs):
        state = _epoch(work, readable, (state, setup), epoch=epoch, say=say)
        flipped, lead = _score(work, readable, state.change)
        heat_maps = work.model.task == "heatmap"  # of these no image is ever done: the loss alone decides
        most = max(((0 if heat_maps else row["flipped"], row["lead"]) for row in history), default=(-1, 0.0))
        better = setup.method == "sgd" or (0 if heat_maps else flipped, lead) > most
        best = state.change if better else best
        history.append({"epoch": epoch + 1, "flipped": flipped, "lead": lead, "n": len(readable), "kept": bool(better)})
        _save(work, state, best, history)
        say.line(f"epoch {epoch + 1}: {flipped} of {len(readable)} training images wrong")
    return best, pd.DataFrame(history)[["epoch", "flipped", "n", "lead", "kept"]]


def _epoch(
    work: Search, readable: Sequence[str], at: tuple[UniversalState, Setup], *, epoch: int, say: Progress
) -> UniversalState:
    """One pass over the training images in the order of this epoch."""
    state, setup = at
    draw = torch.Generator().manual_seed(seed_of(work.seed, "epoch", epoch))
    names = [readable[i] for i in torch.randperm(len(readable), generator=draw).tolist()]
    say.start(f"epoch {epoch + 1} of {work.epochs}", len(names))
    with frozen(work.model):
        for start in range(0, len(names), setup.group):
            batch = work.images(names[start : start + setup.group])
            state = advance(work.model, batch, state, setup=setup)
            say.advance(len(batch.images))
    say.stop()
    return state


def _score(work: Search, names: Sequence[str], change: Tensor) -> tuple[int, float]:
    """Training images decided wrongly under the change, and their mean lead squashed to (-1, 1).

    Of heat maps the mean cross-entropy in place of the lead.
    """
    wrong, lead = 0, 0.0
    # In fixed portions: the lead decides between epochs, and must not depend on the batch size.
    for start in range(0, len(names), CHUNK):
        batch = work.images(names[start : start + CHUNK])
        logits = _logits(work, apply_change(batch.images, change, batch.region), CHUNK)
        wrong += int((~is_right(logits, batch.targets, work.model.task)).sum())
        if work.model.task == "heatmap":
            lead += float(cross_entropy(logits, batch.targets, "heatmap").sum())
        else:
            lead += float(torch.tanh(margin(logits, batch.targets, work.model.task)).sum())
    return wrong, lead / max(len(names), 1)


def _save(work: Search, state: UniversalState, best: Tensor, history: list[dict[str, Any]]) -> None:
    """State first, then the table that names it with its hash; then the state before may go."""
    content = io.BytesIO()
    change, memory, velocity = (value.numpy() for value in (state.change, state.memory, state.velocity))
    step = np.array(state.step)
    np.savez(content, change=change, memory=memory, velocity=velocity, best=best.numpy(), step=step)
    name = f"parts/epoch-{len(history):05d}.npz"
    digest = work.folder.write(name, content.getvalue())
    table = pd.DataFrame(history)
    table["image"], table["image_sha256"] = "", ""
    table.loc[table.index[-1], ["image", "image_sha256"]] = [name, digest]
    work.folder.write_table(HISTORY, table)
    for old in (work.folder.path / "parts").glob("epoch-*.npz"):
        if old.name != name.rpartition("/")[2]:
            old.unlink()


def _resume(work: Search) -> tuple[UniversalState, Tensor, list[dict[str, Any]]]:
    start = UniversalState.start(work.train.shape)
    table = work.folder.read_part("history")
    if table is None:
        return start, start.change, []
    with np.load(work.folder.path / str(table["image"].iloc[-1])) as found:
        tensors = {name: torch.from_numpy(found[name]) for name in ("change", "memory", "velocity", "best")}
        step = int(found["step"])
    told = table.drop(columns=["image", "image_sha256"]).to_dict("records")
    rows = [{str(key): value for key, value in row.items()} for row in told]
    best = tensors.pop("best")
    return UniversalState(**tensors, step=step), best, rows


def judge_part(work: Search, split: str, clean: pd.DataFrame, *, change: Tensor) -> pd.DataFrame:
    """Rows of one portion: flipped by the change and by noise of its size, as float and as stored."""
    ids = tuple(str(name) for name in clean["id"])
    key = work.part("judged", split, list(ids))
    found = work.folder.read_part(key)
    if found is not None:
        return found
    batch = read_chunk(work.sets[split], ids)
    right = clean["correct"].to_numpy(dtype=bool)
    attacked = apply_change(batch.images, change, batch.region)
    noise = shuffled(change, ImageRandom(work.seed, ids, "universal noise"), batch.region)
    noisy = apply_change(batch.images, noise, batch.region)
    after, wrong = _decided(work, batch, attacked)
    rows = {
        "split": split,
        **{name: clean[name] for name in ("id", "group", "label", "prediction", "correct")},
        "after": texts(after),
        "success": wrong & right,
        "success_stored": _decided(work, batch, _saved(work, batch, attacked))[1] & right,
        "noise": _decided(work, batch, noisy)[1] & right,
        "noise_stored": _decided(work, batch, _saved(work, batch, noisy))[1] & right,
    }
    found = pd.DataFrame(rows | _maps(work, batch, {"": batch.images, "_after": attacked, "_noise": noisy}))
    work.folder.write_table(f"parts/{key}.parquet", found)
    return found


def _maps(work: Search, batch: Tensors, states: dict[str, Tensor]) -> dict[str, Any]:
    """For masks: the quality, and the Dice coefficient of each class that the truth holds, in every state.

    For heat maps also their scores in every state, and the truth (``evaluate.universal_heat``).
    """
    if work.model.task not in DENSE:
        return {}
    found: dict[str, Any] = {}
    for state, images in (states | {"_stored": _saved(work, batch, states["_after"])}).items():
        logits, count = _logits(work, images), len(work.model.classes)
        decided = decide(logits, "segment")
        if batch.scored:
            cells = heat.columns(logits, batch.targets)
            found |= {f"scores{state}": [row["scores"] for row in cells]}
            found |= {name: [row[name] for row in cells] for name in ("shape", "truth")}
        table = dense.confusion(decided, batch.targets, count)
        found[f"quality{state}"] = dense.table_quality(table).numpy()
        own, true, said = table.diagonal(dim1=1, dim2=2), table.sum(2), table.sum(1)
        each = torch.where(true > 0, 2 * own / (true + said).clamp_min(1).double(), math.nan).numpy()
        found |= {f"dice_{index}{state}": each[:, index] for index in range(1, count)}
    return found


def _saved(work: Search, batch: Tensors, attacked: Tensor) -> Tensor:
    return as_stored(batch.images, attacked, work.budget, batch.range)


def _decided(work: Search, batch: Tensors, images: Tensor) -> tuple[Tensor, Any]:
    logits = _logits(work, images)
    return decide(logits, work.model.task), (~is_right(logits, batch.targets, work.model.task)).numpy()


def shuffled(change: Tensor, rng: ImageRandom, region: Tensor | None = None) -> Tensor:
    """The values of a change ``[1, C, H, W]`` at shuffled places with random signs, one draw per image.

    Every norm of the change stays as it was; channels of a pixel stay together. With a region, bool ``[N, H, W]``,
    that holds of the values inside, and there is no change outside.
    """
    moved = shuffle_pixels(change, rng, region)
    return moved * torch.where(rng.uniform(tuple(change.shape[1:])) < 0.5, -1.0, 1.0)
