"""The files of a study's cases, one for each arm, and what the model says of the very bytes of each."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from percuss.core.budget import Budget, Norm
from percuss.core.errors import PercussError, RunError
from percuss.core.images import Tensors
from percuss.core.norms import distance
from percuss.core.seeds import ImageRandom
from percuss.explain.drift import same_size_noise
from percuss.pipeline.finished import Finished
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import CHUNK
from percuss.pipeline.progress import Progress
from percuss.pipeline.study_cases import flips_within, truth_of
from percuss.pipeline.study_design import Design
from percuss.pipeline.study_mark import mark_size, marked
from percuss.pipeline.study_model import Judged, as_seen, attacked, judge, read_cases
from percuss.store.png import encode, pixel_hash, slug, uncompressed
from percuss.store.safe import sha256_of
from percuss.study.design.key import ModelSays
from percuss.study.design.trials import Arm

if TYPE_CHECKING:
    import pandas as pd

ORIGINAL = "original"
#: Bytes of the images of one arm, as float32, that are worked on at a time: fewer than ``CHUNK`` images where they are
#: large.
ROOM = 32 * 2**20


@dataclass(frozen=True)
class Shown:
    """One file: its bytes, stored without compression, and what made it."""

    png: bytes
    made_by: str = ""


#: The files of a case by name of arm.
Files = dict[str, Shown]


@dataclass(frozen=True)
class Making:
    """What files are made from: run, design, images and model (None where they are gone); ``say`` is told of it."""

    found: Finished
    design: Design
    work: Work | None
    say: Progress = field(default_factory=Progress)

    @property
    def in_region(self) -> bool:
        """Whether the audit changed pixels of a region alone."""
        return "region" in tomllib.loads((self.found.path / "plan.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Portion:
    """Cases that are worked on at a time.

    Attributes:
        files: of each case, by its id.
        batch: the run's images of these cases, in this order; None where they are gone.
        refused: why others have no files, by id.
    """

    files: dict[str, Files]
    batch: Tensors | None
    refused: dict[str, str]


def portions(ids: Sequence[str], shape: Sequence[int]) -> list[list[str]]:
    """The ids in portions that fit into memory, whatever their number; ``shape`` is that of an image.

    Portions depend on the size of an image alone, so that the same call always attacks the same images together.
    """
    size = min(CHUNK, max(1, ROOM // (4 * math.prod(shape))))
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def make_files(making: Making, ids: Sequence[str]) -> Portion:
    """The files of some cases; those that do not differ from the original are among them.

    The original is the one that the audit kept. An adversarial file is the smallest flip that the audit kept within
    the size (``Design.as_kept``), or is made anew, as stored. Noise has the very values of the attack's change at other
    places, so every size of it; the visible control is ``study_mark.marked``. An image that can no longer be read, or
    whose kept file was touched, has no files, and the others have theirs.
    """
    portion, design = _from_the_run(making, ids), making.design
    files = portion.files
    if not files:
        return portion
    if not design.as_kept:
        sizes = {Arm(kind="adversarial", size=size.text).name: size for size in design.sizes}
        _join(files, {arm: _made_anew(making, portion, size) for arm, size in sizes.items()})
    by_kind: dict[str, Callable[[Making, Portion, str], dict[str, Shown]]] = {"noise": _noise, "visible": _marks}
    _join(files, {arm.name: by_kind[arm.kind](making, portion, arm.size) for arm in design.arms if arm.kind in by_kind})
    return portion


def _join(files: Mapping[str, Files], made: Mapping[str, Mapping[str, Shown]]) -> None:
    for arm, of in made.items():
        for name, shown in of.items():
            files[name][arm] = shown


def _from_the_run(making: Making, ids: Sequence[str]) -> Portion:
    """What the run has of some cases: the original of each, its flip where it was kept, and the images."""
    files: dict[str, Files] = {}
    refused: dict[str, str] = {}
    kept = flips_within(making.found, making.design.sizes[-1], making.design) if making.design.as_kept else None
    for name in ids:
        try:
            files[name] = {ORIGINAL: Shown(_kept(making.found, _original(name)))}
            if kept is not None:
                files[name][making.design.largest.name] = _flip(making.found, kept.loc[[name]].iloc[0])
        except (PercussError, OSError) as error:
            files.pop(name, None)
            refused[name] = f"its file in the run cannot be used ({_short(error)})"
    if making.work is None:
        return Portion(files, None, refused)
    batch = read_cases(making.work, list(files))
    refused |= {bad.id: f"its image cannot be read any more ({bad.reason})" for bad in batch.bad}
    return Portion({name: files[name] for name in batch.ids}, batch, refused)


def _short(error: Exception) -> str:
    return error.thing if isinstance(error, PercussError) else str(getattr(error, "strerror", "") or error)


def _original(case: str) -> str:
    return f"images/original/{slug(case)}.png"


def _kept(found: Finished, name: str) -> bytes:
    """A file of the run without compression, its pixels checked to be the same."""
    source = (found.path / name).read_bytes()
    made = uncompressed(source)
    if pixel_hash(made) != pixel_hash(source):
        raise RunError("a kept image changes when it is stored", value=name, next_step="run percuss audit again")
    return made


def _flip(found: Finished, row: pd.Series[Any]) -> Shown:
    """The flip of a row of the audit, its file checked to be as it was kept."""
    name = str(row["image"])
    if sha256_of(found.path / name) != row["image_sha256"]:
        raise RunError("a kept image is gone or changed", value=name, next_step="run percuss audit again")
    return Shown(_kept(found, name), str(row["attack"]))


def _made_anew(making: Making, portion: Portion, size: Budget) -> dict[str, Shown]:
    if making.work is None or portion.batch is None:
        raise _gone()
    made = attacked(making.work, portion.batch, size)
    return {name: Shown(_stored(making, image), attack) for name, (image, attack) in made.items()}


def _region(making: Making, portion: Portion) -> Tensor | None:
    """Where pixels may change; everywhere where None."""
    if not making.in_region:
        return None
    if portion.batch is None:
        raise _gone()
    return portion.batch.region


def _gone() -> RunError:
    return RunError(
        "images and model of the run are needed",
        allowed="the run's own; without them only cases as the audit kept them: one size, only_flipped",
        next_step="name where they are now with --data, --model and --weights, or take --preset foote",
    )


def _stored(making: Making, image: Tensor) -> bytes:
    return encode(image, making.design.pixels, packed=False)


def _images(making: Making, files: Mapping[str, Files], arm: str) -> Tensor:
    pixels = making.design.pixels
    return torch.stack([as_seen(shown[arm].png, name, pixels) for name, shown in files.items()])


def _noise(making: Making, portion: Portion, size: str) -> dict[str, Shown]:
    ids = list(portion.files)
    clean = _images(making, portion.files, ORIGINAL)
    change = _images(making, portion.files, Arm(kind="adversarial", size=size).name)
    rng = ImageRandom(making.design.seed, ids, f"study noise|{size}")
    noisy = same_size_noise(clean, change, rng, region=_region(making, portion))
    return {name: Shown(_stored(making, image), "noise") for name, image in zip(ids, noisy, strict=True)}


def _marks(making: Making, portion: Portion, size: str) -> dict[str, Shown]:
    ids = list(portion.files)
    by = mark_size(size, making.design.pixels)
    images = marked(_images(making, portion.files, ORIGINAL), ids, by, seed=making.design.seed)
    return {name: Shown(_stored(making, image), "visible") for name, image in zip(ids, images, strict=True)}


def model_says(making: Making, portion: Portion) -> dict[str, dict[str, ModelSays]]:
    """What the model says of the bytes of each file, by case and arm.

    Of a model that is gone what the audit noted of originals and of the flips it kept; nothing of other files.
    """
    files = portion.files
    told: dict[str, dict[str, ModelSays]] = {name: {} for name in files}
    clean: dict[str, Judged] = {}
    for arm in next(iter(files.values()), {}):
        said = _judged(making, portion, arm)
        clean = clean or said
        for name, one in said.items():
            shown = files[name][arm]
            told[name][arm] = ModelSays(
                label=one.label,
                confidence=one.confidence,
                flips=clean[name].right and not one.right,
                attack=shown.made_by,
                **_sizes(making, files[name][ORIGINAL].png, shown.png, name),
            )
    return told


def _judged(making: Making, portion: Portion, arm: str) -> dict[str, Judged]:
    files = portion.files
    if making.work is not None and portion.batch is not None:
        shown = {name: of[arm].png for name, of in files.items()}
        return judge(making.work, making.found, shown, targets=portion.batch.targets)
    return _noted(making, list(files), arm) if arm in (ORIGINAL, making.design.largest.name) else {}


def _noted(making: Making, ids: Sequence[str], arm: str) -> dict[str, Judged]:
    """What the audit noted of originals and of the flips it kept: of those on the image before rounding."""
    found, data = making.found, making.found.results.data
    if arm == ORIGINAL:
        table = found.clean.set_index("id").loc[list(ids)]
        right = table["correct"].astype(bool)
    else:
        table = flips_within(found, making.design.sizes[-1], making.design).loc[list(ids)]
        right = ~table["success_stored"].astype(bool)
    rows = zip(ids, table["prediction"], table["confidence"], right, strict=True)
    return {name: Judged(truth_of(str(label), data), float(sure), bool(held)) for name, label, sure, held in rows}


def _sizes(making: Making, original: bytes, png: bytes, name: str) -> dict[str, float]:
    change = as_seen(png, name, making.design.pixels) - as_seen(original, name, making.design.pixels)
    norms = (Norm.LINF, Norm.L2, Norm.L1, Norm.L0)
    return {norm.value: float(distance(norm, change.unsqueeze(0))) for norm in norms}


def unfit(making: Making, files: Mapping[str, Files], says: Mapping[str, Mapping[str, ModelSays]]) -> dict[str, str]:
    """Why cases cannot be in the study, by id, in a few words; empty where all can.

    A change lost in storing makes no arm; nor is a case one that the model has wrong as stored, or where its attack
    must flip and the file does not.
    """
    must = making.design.largest.name if making.design.options.only_flipped else ""
    why = {}
    for name, shown in files.items():
        same = [arm for arm, one in shown.items() if arm != ORIGINAL and one.png == shown[ORIGINAL].png]
        if same:
            why[name] = f"the change of {same[0]} was lost in storing"
        elif must and not says[name][must].flips:
            why[name] = f"the file of {must} does not flip the model"
        elif _was_wrong(making, name, says):
            why[name] = "the model decides the stored original wrongly"
    return why


def _was_wrong(making: Making, name: str, says: Mapping[str, Mapping[str, ModelSays]]) -> bool:
    data = making.found.results.data
    if data.task not in ("classify", "multilabel"):
        return False
    label = making.found.clean.set_index("id").at[name, "label"]
    return says[name][ORIGINAL].label != truth_of(str(label), data)
