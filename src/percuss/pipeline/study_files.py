"""The files of a study's cases, one for each arm, and what the model says of the very bytes of each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from percuss.core.budget import Budget, Norm
from percuss.core.errors import RunError
from percuss.core.norms import distance
from percuss.core.seeds import ImageRandom
from percuss.explain.drift import same_size_noise
from percuss.pipeline.finished import Finished
from percuss.pipeline.parts import Work
from percuss.pipeline.progress import Progress
from percuss.pipeline.study_cases import flips_within, truth_of
from percuss.pipeline.study_design import Design
from percuss.pipeline.study_mark import mark_size, marked
from percuss.pipeline.study_model import Judged, as_seen, attacked, judge, read_cases
from percuss.store.png import encode, pixel_hash, slug, uncompressed
from percuss.store.safe import sha256_of
from percuss.study.design.key import ModelSays
from percuss.study.design.trials import Arm

ORIGINAL = "original"


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

    def needed(self) -> Work:
        """Images and model; RunError where they are gone."""
        if self.work is None:
            raise RunError(
                "images and model of the run are needed",
                allowed="the run's own; without them only cases as the audit kept them: one size, only_flipped",
                next_step="name where they are now with --data, --model and --weights, or take --preset foote",
            )
        return self.work


def make_files(making: Making, ids: Sequence[str]) -> dict[str, Files]:
    """The files of some cases; those that do not differ from the original are among them.

    The original is the one that the audit kept. An adversarial file is the smallest flip that the audit kept within
    the size (``Design.as_kept``), or is made anew, as stored. Noise has the very values of the attack's change at other
    places, so every size of it; the visible control is ``study_mark.marked``.
    """
    found, design = making.found, making.design
    files: dict[str, Files] = {name: {ORIGINAL: Shown(_kept(found, _original(name)))} for name in ids}
    for size in design.sizes:
        making.say.line(f"{len(ids)} cases: adversarial {size.text}")
        made = _as_kept(making, ids, size) if design.as_kept else _made_anew(making, ids, size)
        for name in ids:
            files[name][Arm(kind="adversarial", size=size.text).name] = made[name]
    for arm in design.arms:
        if arm.kind in ("noise", "visible"):
            making.say.line(f"{len(ids)} cases: {arm.name}")
            made = _noise(making, files, arm.size) if arm.kind == "noise" else _marks(making, files, arm.size)
            for name in ids:
                files[name][arm.name] = made[name]
    return files


def _original(case: str) -> str:
    return f"images/original/{slug(case)}.png"


def _kept(found: Finished, name: str) -> bytes:
    """A file of the run without compression, its pixels checked to be the same."""
    source = (found.path / name).read_bytes()
    made = uncompressed(source)
    if pixel_hash(made) != pixel_hash(source):
        raise RunError("a kept image changes when it is stored", value=name, next_step="run percuss audit again")
    return made


def _as_kept(making: Making, ids: Iterable[str], size: Budget) -> dict[str, Shown]:
    kept = flips_within(making.found, size, making.design)
    made = {}
    for name in ids:
        row = kept.loc[name]
        if sha256_of(making.found.path / str(row["image"])) != row["image_sha256"]:
            raise RunError("a kept image is gone or changed", value=name, next_step="run percuss audit again")
        made[name] = Shown(_kept(making.found, str(row["image"])), str(row["attack"]))
    return made


def _made_anew(making: Making, ids: Sequence[str], size: Budget) -> dict[str, Shown]:
    made = attacked(making.needed(), ids, size)
    return {name: Shown(_stored(making, image), attack) for name, (image, attack) in made.items()}


def _stored(making: Making, image: Tensor) -> bytes:
    return uncompressed(encode(image, making.design.pixels))


def _images(making: Making, files: Mapping[str, Files], arm: str) -> Tensor:
    pixels = making.design.pixels
    return torch.stack([as_seen(shown[arm].png, name, pixels) for name, shown in files.items()])


def _noise(making: Making, files: Mapping[str, Files], size: str) -> dict[str, Shown]:
    ids = list(files)
    clean = _images(making, files, ORIGINAL)
    change = _images(making, files, Arm(kind="adversarial", size=size).name)
    region = read_cases(making.needed(), ids).region if making.in_region else None
    rng = ImageRandom(making.design.seed, ids, f"study noise|{size}")
    noisy = same_size_noise(clean, change, rng, region=region)
    return {name: Shown(_stored(making, image), "noise") for name, image in zip(ids, noisy, strict=True)}


def _marks(making: Making, files: Mapping[str, Files], size: str) -> dict[str, Shown]:
    ids = list(files)
    by = mark_size(size, making.design.pixels)
    images = marked(_images(making, files, ORIGINAL), ids, by, seed=making.design.seed)
    return {name: Shown(_stored(making, image), "visible") for name, image in zip(ids, images, strict=True)}


def model_says(making: Making, files: Mapping[str, Files]) -> dict[str, dict[str, ModelSays]]:
    """What the model says of the bytes of each file, by case and arm.

    Of a model that is gone what the audit noted of originals and of the flips it kept; nothing of other files.
    """
    told: dict[str, dict[str, ModelSays]] = {name: {} for name in files}
    clean: dict[str, Judged] = {}
    for arm in next(iter(files.values()), {}):
        said = _judged(making, files, arm)
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


def _judged(making: Making, files: Mapping[str, Files], arm: str) -> dict[str, Judged]:
    if making.work is not None:
        return judge(making.work, making.found, {name: shown[arm].png for name, shown in files.items()})
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
