"""The files of a universal change: the change itself, lossless and as a picture, its numbers, its page."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from percuss.attacks.universal_search import apply_change
from percuss.core.budget import Norm
from percuss.core.dense import BAR
from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.core.norms import distance
from percuss.core.outcome import Finding
from percuss.core.stored import as_stored
from percuss.core.universal import Tally
from percuss.evaluate.universal import ALL, destinations, tallies, universal_findings
from percuss.evaluate.universal_heat import BYTES
from percuss.pipeline import environment
from percuss.pipeline.inputs import Chosen, read_chunk
from percuss.pipeline.plain_values import as_plain
from percuss.pipeline.universal_judges import Beside, plain
from percuss.pipeline.universal_units import Search
from percuss.report.numbers import counted_share, decimal
from percuss.report.sections import Table, as_source, write_sections
from percuss.report.universal import areas_table, dice_table, judges_table, moves_table, sections, seeds_table
from percuss.store.folder import now
from percuss.store.png import encode

NAME = "percuss-universal-1"
#: Images shown with and without the change.
SHOWN = 3
#: Beginnings of fields that only some tasks have.
_MAPS = ("dice", "auc_pr", "null")


@dataclass(frozen=True)
class UniversalOptions:
    """What beside data and model decides a universal change.

    Attributes:
        budget: one norm and size, as text.
        method: ``sgd`` (one update per example, as published) or ``batched`` (stronger).
        train_split, split: where it is made, and where it is judged on unseen images.
        epochs: passes over the training images.
        rate: batched: first step as a share of the budget; sgd: mean update as a share of it. None: 0.1 and 0.02, more
            where there are few steps.
        group: images per step of ``batched``.
        only: a class; the change is made on its images alone.
        limit, train_limit: at most so many judged and training images, each class with its share.
        seeds: so many changes in all, each made with a seed of its own; the others are counted beside this one.
    """

    budget: str
    method: str = "batched"
    train_split: str = "train"
    split: str = "test"
    epochs: int = 10
    rate: float | None = None
    group: int = 8
    only: str | None = None
    limit: int | None = None
    train_limit: int | None = None
    seeds: int = 1


def same_images(sets: dict[str, Chosen]) -> list[Finding]:
    """Images with the same content in both splits: the unseen ones would not be unseen."""
    prints = []
    for chosen in sets.values():
        found = {}
        for name in chosen.ids:
            try:
                found[chosen.images.fingerprint(name)] = name
            except DataError:
                continue  # listed as bad by the clean pass
        prints.append(found)
    both = sorted(prints[0][key] for key in set(prints[0]) & set(prints[1]))
    if not both:
        return []
    text = f"{len(both)} images are in both splits, first {both[0]}: success on unseen images is overstated."
    return [Finding("images-in-both-splits", "severe", text, {"images": len(both), "ids": both[:20]})]


def write_files(
    work: Search,
    wanted: UniversalOptions,
    *,
    change: Tensor,
    rows: pd.DataFrame,
    told: tuple[pd.DataFrame, list[Finding]],
    beside: Beside,
) -> None:
    """perturbation.npz and .png, rows.parquet, per_image.csv, results.json and universal.html."""
    folder, data = work.folder, work.train.images
    history, findings = told
    found = tallies(rows, data.classes, data.task, seed=work.seed)
    doubts = [*findings, *universal_findings(rows, seed=work.seed)]
    picture = amplified(change)
    hashes = {
        "perturbation.npz": folder.write("perturbation.npz", as_npz(change, work)),
        "perturbation.png": folder.write("perturbation.png", picture),
    }
    folder.write_table("rows.parquet", rows)
    folder.write("per_image.csv", rows.drop(columns=[*BYTES], errors="ignore").to_csv(index=False))
    moves = destinations(rows, data.classes) if data.task == "classify" else {}
    said = {"sizes": sizes(change), "sha256": hashes, "history": history.to_dict("records"), "destinations": moves}
    counted = {"tallies": [_plain(item) for item in found], **plain(beside, found, _plain)}
    record = _record(work, wanted) | said | counted | {"findings": [vars(item) for item in doubts]}
    folder.write("results.json", json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    told_more = [
        *([dice_table(found)] if found[0].dice else []),
        *_beside(beside, found),
        *(moves_table(split, m, data.classes) for split, m in moves.items()),
        _history(history),
    ]
    parts = sections(
        found,
        opening=_opening(work, wanted, found),
        findings=doubts,
        pictures=_pictures(work, wanted.split, change, picture),
        tables=told_more,
    )
    meta, path = f"{now()[:10]} · run {folder.run_id[:12]}", folder.path / "universal.html"
    write_sections(path, parts, title="one change for all images", meta=meta, version=environment.version())


def _beside(beside: Beside, found: list[Tally]) -> list[Table]:
    spread = beside.spread(found)
    judged = [judges_table(beside.tallies)] if beside.tallies else []
    judged = [areas_table(beside.tallies), *judged] if judged and found[0].auc_pr else judged
    return [*judged, *([seeds_table(spread)] if spread else [])]


def _record(work: Search, wanted: UniversalOptions) -> dict[str, Any]:
    """What was done, to what, as plain values."""
    folder, data, model = work.folder, work.train.images, work.model
    region = {"region": work.train.region.text} if work.train.region else {}
    return {
        "kind": NAME,
        "percuss_version": environment.version(),
        "run_id": folder.run_id,
        "started": folder.manifest["started"],
        "data": {"spec": data.spec, "task": data.task, "classes": list(data.classes), "shape": list(work.train.shape)},
        "model": {"spec": model.info.spec, "weights": model.info.weights, "sha256": model.fingerprint()},
        "options": vars(wanted) | {"rate": work.setup.rate, "seed": work.seed} | region,
    }


def as_npz(change: Tensor, work: Search) -> bytes:
    """The change without loss: ``perturbation`` float32 ``[C, H, W]`` in [0, 1] units, with budget and range."""
    content, pixels = io.BytesIO(), work.train.pixels
    native = np.array([pixels.low, pixels.high, pixels.step])
    np.savez_compressed(content, perturbation=change[0].numpy(), budget=np.array(work.budget.text), range=native)
    return content.getvalue()


def amplified(change: Tensor) -> bytes:
    """The change as an 8-bit PNG: grey is none, the largest value is black or white."""
    most = float(change.abs().max())
    return encode((0.5 + change[0] / (2 * most)).clamp(0, 1) if most else change[0] + 0.5, PixelRange())


def sizes(change: Tensor) -> dict[str, float]:
    """The change measured in every norm."""
    return {norm.value: float(distance(norm, change)) for norm in (Norm.LINF, Norm.L2, Norm.L1, Norm.L0)}


def _opening(work: Search, wanted: UniversalOptions, found: list[Tally]) -> list[str]:
    unseen, seen = _of(found, wanted.split), _of(found, wanted.train_split)
    who = "all classes" if wanted.only is None else f"the class {wanted.only}"
    where = f" inside the region {work.train.region.text}" if work.train.region else ""
    return [
        f"One change within {work.budget.text}{where}, made by {wanted.method} in {wanted.epochs} epochs on "
        f"{len(work.train.ids)} images ({who}) of the split {wanted.train_split} for {work.model.info.spec}.",
        f"Added to unseen images ({wanted.split}) it flips {counted_share(unseen.success)} of those that were right; "
        f"as stored {counted_share(unseen.success_stored)}; on the split it was made on {counted_share(seen.success)}. "
        f"Noise of the same size flips {counted_share(unseen.noise)} of the unseen ones.",
        *(_areas(unseen) or _dice(unseen)),
    ]


def _of(found: list[Tally], split: str) -> Tally:
    """All images of a split."""
    return next(item for item in found if (item.split, item.name) == (split, ALL))


def _areas(unseen: Tally) -> list[str]:
    """What the change does to heat maps, which flips tell little of; nothing where there are none."""
    if unseen.auc_pr is None or unseen.auc_pr_after is None or unseen.auc_pr_noise is None:
        return []
    null = "" if unseen.null is None else f", of a map without knowledge {unseen.null:.3f}"
    return [
        f"AUC-PR (average precision of all judged cells together) of unseen images is {decimal(unseen.auc_pr)} without "
        f"the change, {decimal(unseen.auc_pr_after)} with it and {decimal(unseen.auc_pr_noise)} with noise of its "
        f"size{null}. A heat map counts as right, and then as flipped, by a Dice of {BAR} at one half."
    ]


def _dice(unseen: Tally) -> list[str]:
    """What the change does to masks beyond the flips; nothing where there are none."""
    if unseen.dice is None or unseen.dice_after is None or unseen.dice_noise is None:
        return []
    return [
        f"A mask counts as right while the mean Dice of the classes in its truth is at least {BAR}. On unseen images "
        f"that is {decimal(unseen.dice)} without the change, {decimal(unseen.dice_after)} with it and "
        f"{decimal(unseen.dice_noise)} with noise of its size."
    ]


def _pictures(work: Search, split: str, change: Tensor, picture: bytes) -> list[tuple[str, str]]:
    """The change amplified, and some unseen images before and after."""
    most = float(change.abs().max()) * work.train.pixels.levels
    unit = work.train.pixels.unit
    shown = [(f"the change, amplified: black and white are {most:.3g} in steps of one {unit}", as_source(picture))]
    chosen = work.sets[split]
    batch = read_chunk(chosen, chosen.ids[:SHOWN])
    attacked = as_stored(batch.images, apply_change(batch.images, change, batch.region), work.budget, batch.range)
    for name, clean, after in zip(batch.ids, batch.images, attacked, strict=True):
        shown.append((f"{name}, as it is", as_source(encode(clean, batch.range))))
        shown.append((f"{name}, with the change, as stored", as_source(encode(after, batch.range))))
    return shown


def _history(history: pd.DataFrame) -> Table:
    columns = (history[name].tolist() for name in ("epoch", "flipped", "n"))
    body = tuple((str(epoch), f"{flipped} of {n}") for epoch, flipped, n in zip(*columns, strict=True))
    return Table(("epoch", "training images wrong"), body, words=0, caption="the search")


def _plain(item: Tally) -> dict[str, Any]:
    told = {key: value for key, value in vars(item).items() if value is not None or not key.startswith(_MAPS)}
    found: dict[str, Any] = as_plain(told)
    return found
