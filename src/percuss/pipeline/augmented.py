"""Augmented training sets on disk: made part by part from a given model, exact, with their provenance, checked."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from percuss.core.errors import RunError
from percuss.core.images import Tensors
from percuss.core.model import Model
from percuss.defend.augmenting import Augmenting, Method, changed
from percuss.defend.hardening import Hardening
from percuss.defend.preparing import fingerprint
from percuss.defend.records import TrainData
from percuss.defend.settings import TrainSettings
from percuss.pipeline import environment
from percuss.pipeline.progress import Progress
from percuss.store.safe import write_bytes

#: Folder in the model folder, with one folder for each method.
FOLDER = "augmented"
PROVENANCE = "provenance.json"
#: Pixels of a part. It is made at once and stored at once, so nothing but the size of the images decides its bytes.
PIXELS = 2**18
#: Folder of the sets, and who is told.
_Where = tuple[Path, Progress]


@dataclass(frozen=True)
class Prepared:
    """What is trained on, with which settings, and what training.json says of the sets that were made."""

    data: TrainData
    settings: TrainSettings
    told: list[dict[str, Any]]


def prepared(
    recipe: Hardening | None, data: TrainData, settings: TrainSettings, *, given: Callable[[], Model], made: _Where
) -> Prepared:
    """The training of a recipe: for one that makes its images before, on those; else as it was.

    Args:
        recipe, data, settings: as for ``percuss.defend.training.fit``.
        given: loads the model that the images are made against; asked only where there are any to make.
        made: folder of the sets, and who is told.

    Raises:
        PercussError: as ``augmented``, and where the model cannot be loaded.
    """
    if not isinstance(recipe, Augmenting):
        return Prepared(data, settings, [])
    home, say = made
    there = "cuda" if torch.cuda.is_available() else "cpu"
    model = given().to(there if settings.device == "auto" else settings.device)
    train, told = augmented(recipe, model, data.train, home=home, progress=say)
    epochs = recipe.epochs(settings.epochs)
    if epochs != settings.epochs:
        say.line(f"{recipe.name}: {epochs} epochs for {settings.epochs}, as the set has {len(train.ids)} images")
    return Prepared(TrainData(train, data.val), settings.model_copy(update={"epochs": epochs}), told)


@dataclass(frozen=True)
class _Set:
    """What a set is made of, and where it lies."""

    method: Method
    model: Model
    plain: Tensors
    home: Path
    say: Progress

    @cached_property
    def parts(self) -> dict[str, range]:
        """Rows of each part, by the name of its file."""
        height, width = self.plain.images.shape[2:]
        size, count = max(1, min(64, PIXELS // (height * width))), len(self.plain.ids)
        rows = [range(first, min(first + size, count)) for first in range(0, count, size)]
        return {f"part-{number:05d}.safetensors": part for number, part in enumerate(rows)}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the images."""
        shape, budget = tuple(self.plain.images.shape[1:]), self.method.budget
        eps = budget.eps(shape, self.plain.range)
        return {
            "method": self.method.name,
            "settings": self.method.settings,
            "norm": budget.norm.value,
            "eps": None if eps == float("inf") else eps,
            "model": self.model.fingerprint(),
            "images": fingerprint(self.plain),
        }


def augmented(
    recipe: Augmenting, model: Model, plain: Tensors, *, home: Path, progress: Progress
) -> tuple[Tensors, list[dict[str, Any]]]:
    """The training set of a defence that changes it, and what training.json says of each of its changed sets.

    What ``home`` holds already is checked and used; the rest is made, and stored part by part, so that a stopped or
    killed command goes on. Float32 values are stored as they are.

    Args:
        recipe: names the methods.
        model: the given model, which the images are changed against; on the device to use.
        plain: training images with their truth.
        home: folder of the sets, one below it for each method.
        progress: told what happens.

    Raises:
        RunError: ``home`` holds images made otherwise, or cannot be written.
        AttackError: a change that leaves its budget.
    """
    sets, told = {}, []
    for method in recipe.methods(len(model.classes)):
        one = _Set(method, model, plain, home / method.name, progress)
        sets[method.name], summary = _made(one)
        told.append({"folder": str(one.home)} | summary)
    return recipe.joined(plain, sets), told


def _made(one: _Set) -> tuple[Tensor, dict[str, Any]]:
    record = _record(one)
    name, count = one.method.name, len(one.plain.ids)
    found = {part: _read(one, part, record["parts"].get(part)) for part in one.parts}
    there = sum(len(images) for images in found.values() if images is not None)
    again = [part for part, images in found.items() if images is None and part in record["parts"]]
    if again:
        one.say.line(f"{name}: {', '.join(again)} missing or damaged, made again")
    if there < count:
        one.say.line(f"{name}: changing {count} training images against the given model" + _going_on(there))
        one.say.start(f"{name} images", count - there)
        try:
            for part, rows in one.parts.items():
                if found[part] is None:
                    found[part] = _make(one, record, part, rows)
                    one.say.advance(len(rows))
        finally:
            one.say.stop()
    told = [row for part in one.parts for row in record["parts"][part]["images"]]
    summary = one.identity | {"count": count} | _summary(told)
    one.say.line(_line(summary))
    return torch.cat([images for images in found.values() if images is not None]), summary


def _make(one: _Set, record: dict[str, Any], part: str, rows: range) -> Tensor:
    made = changed(one.method, one.model, one.plain, rows=rows)
    digest = write_bytes(one.home / part, safetensors.torch.save({"images": made.images}))
    record["parts"][part] = {"sha256": digest, "images": made.rows}
    # Behind the part, so that what is listed is there.
    record["parts"] = dict(sorted(record["parts"].items()))
    write_bytes(one.home / PROVENANCE, (json.dumps(record, indent=1) + "\n").encode())
    return made.images


def _record(one: _Set) -> dict[str, Any]:
    """provenance.json as it is, or the beginning of one. RunError where it is another set's or cannot be read."""
    path, identity = one.home / PROVENANCE, one.identity
    fresh = {
        "format": 1,
        "percuss_version": environment.version(),
        "note": "Made with the truth of the training images, for training alone." if _uses_truth(one) else "",
        "identity": identity,
        "given_model": one.model.info.spec,
        "parts": {},
    }
    if not path.exists():
        return fresh
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        theirs, parts, version = dict(record["identity"]), dict(record["parts"]), record["percuss_version"]
        _ = [(part["sha256"], [row["linf"] for row in part["images"]]) for part in parts.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            "the provenance of the augmented images cannot be read",
            value=path,
            next_step="delete its folder, and the images are made again",
        ) from error
    other = [name for name in identity if theirs.get(name) != identity[name]]
    if len(parts) < len(one.parts) and version != fresh["percuss_version"]:
        other.append("version of percuss, and they are not complete")
    if other:
        raise RunError(
            f"the augmented images were made otherwise; they differ in their {', '.join(other)}",
            value=one.home,
            next_step="give another --out or --augmented, or the options they were made with",
        )
    return record


def _read(one: _Set, part: str, known: dict[str, Any] | None) -> Tensor | None:
    """The images of a part; None where it is not listed, missing or damaged."""
    if known is None:
        return None
    try:
        content = (one.home / part).read_bytes()
    except OSError:
        return None
    ids = [row["id"] for row in known["images"]]
    if hashlib.sha256(content).hexdigest() != known["sha256"] or ids != [one.plain.ids[row] for row in one.parts[part]]:
        return None
    images: Tensor = safetensors.torch.load(content)["images"]
    return images


def _uses_truth(one: _Set) -> bool:
    return one.method.name == "hypothesis"


def _going_on(there: int) -> str:
    return f"; {there} are there already" if there else ""


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The largest change of all images, in both measures, and the mean of what is measured before and after."""
    sizes = {f"{name}_used": max(row[name] for row in rows) for name in ("linf", "l2")}
    names = [f"{name}_{when}" for name in ("loss", "mae") for when in ("before", "after")]
    return sizes | {name: statistics.fmean(row[name] for row in rows) for name in names}


def _line(told: dict[str, Any]) -> str:
    limit = "no limit was set" if told["eps"] is None else f"allowed {told['norm']} {told['eps']:.4g}"
    return (
        f"{told['method']}: {told['count']} images, changed by up to linf {told['linf_used']:.4g}, "
        f"l2 {told['l2_used']:.4g} ({limit}); loss of the given model {told['loss_before']:.4f} before, "
        f"{told['loss_after']:.4f} after"
    )
