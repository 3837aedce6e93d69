"""synthetic:tissue, patches drawn when read, with patients and masks; also synthetic:patterns and synthetic:slides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from percuss.core.errors import DataError, nearest
from percuss.core.images import Case, Entry, ImageSet, PixelRange, Task
from percuss.core.seeds import seed_of
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.patterns.images import PatternSet, open_patterns
from percuss.data.splits import check_entries, choose
from percuss.data.tissue.fields import Frame
from percuss.data.tissue.nuclei import BACKGROUND, CHANNELS
from percuss.data.tissue.scene import make_patch, type_mask
from percuss.data.tissue.slide_tiles import SlideTiles, open_slides
from percuss.data.tissue.stains import Stain, draw_stain

LOCATIONS = ("tissue", "patterns", "slides")
OPTIONS = ("task", "n", "size", "patients", "seed", "mpp")
CLASSES = ("normal", "tumour")
#: Classes of each pixel with ``task=segment``, as PanNuke numbers them.
MAP_CLASSES = ("background", *CHANNELS[:BACKGROUND])
#: Raised whenever the same options would draw another image.
RECIPE = "tissue-1"
#: Smallest field in micrometres: five neoplastic nuclei must fit.
_FIELD_UM = 40.0


@dataclass(frozen=True)
class Settings:
    """The options: number of patches, side in pixels, patients, seed, micrometres per pixel."""

    n: int = 400
    size: int = 96
    patients: int = 40
    seed: int = 0
    mpp: float = 0.5


class TissueSet(ImageSet):
    """Patches that are drawn when read; each from its own seed, so order and number of reads do not matter."""

    def __init__(self, spec: str, settings: Settings, entries: Sequence[Entry], *, task: Task = "classify") -> None:
        super().__init__(spec, task, MAP_CLASSES if task == "segment" else CLASSES, entries)
        self.settings = settings

    def read(self, case_id: str) -> Case:
        """One patch ``[3, size, size]`` uint8 with its nuclei.

        They are the ``mask`` ``[6, size, size]`` in PanNuke's order; for task segment ``target`` is the map of their
        kinds and ``instances`` that of their numbers.
        """
        entry, use = self.entry(case_id), self.settings
        assert entry.group is not None
        label = _label(case_id, use.patients)
        rng = np.random.default_rng(seed_of(RECIPE, use.seed, case_id))
        frame = Frame(use.size, use.size, use.mpp)
        grade = float(patient_rng(use.seed, entry.group, "grade").uniform(0.7, 1.4))
        scene = make_patch(
            rng, frame, patient_stain(use.seed, entry.group), tumour=CLASSES[label] == "tumour", grade=grade
        )
        spacing = (use.mpp / 1000, use.mpp / 1000)
        if self.task == "segment":
            target, numbers = type_mask(scene.masks), scene.masks[:BACKGROUND].max(0)
            group = entry.group
            return Case(
                case_id, scene.pixels, PixelRange(0, 255), target, group=group, spacing_mm=spacing, instances=numbers
            )
        return Case(case_id, scene.pixels, PixelRange(0, 255), label, scene.masks, entry.group, spacing)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the recipe: its version, the settings that decide the image, and the entry."""
        use, entry = self.settings, self.entry(case_id)
        shown = "segment" if self.task == "segment" else entry.target
        recipe = (RECIPE, use.seed, use.size, use.mpp, entry.id, entry.group, shown)
        return hashlib.sha256(repr(recipe).encode()).hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> TissueSet:
        """The same set limited to a split or to some ids, order kept."""
        return TissueSet(self.spec, self.settings, choose(self.entries, split, ids), task=self.task)


def patient_rng(seed: int, patient: str, purpose: str) -> np.random.Generator:
    """The generator of something that all patches of a patient share."""
    return np.random.default_rng(seed_of(RECIPE, seed, patient, purpose))


def patient_stain(seed: int, patient: str) -> Stain:
    """How the slides of one patient are stained."""
    return draw_stain(patient_rng(seed, patient, "stain"))


def open_set(location: str, options: Mapping[str, str]) -> TissueSet | PatternSet | SlideTiles:
    """Synthetic tissue patches, half of them tumour, split 60:20:20 by patient; or patterns (``open_patterns``), or
    tiles of slides (``open_slides``).

    Options of tissue: ``task=segment`` (kind and number of the nucleus at each pixel as the truth, in place of tumour
    or normal), ``n`` (patches, at least two for each patient), ``size`` (pixels), ``patients`` (at least 3),
    ``seed``, ``mpp`` (micrometres per pixel). DataError where one is unknown or out of its range.
    """
    if location not in LOCATIONS:
        raise DataError(
            "unknown synthetic set", value=location, allowed=nearest(location, LOCATIONS), next_step="synthetic:tissue"
        )
    if location == "patterns":
        return open_patterns(options)
    if location == "slides":
        return open_slides(options)
    check_names(options, OPTIONS, "synthetic")
    task: Task = "segment" if choice(options, "task", ("classify", "segment")) == "segment" else "classify"
    use = _settings(options)
    entries = _entries(use, task)
    check_entries(entries)
    return TissueSet(spec_text("synthetic", location, options), use, entries, task=task)


def _settings(options: Mapping[str, str]) -> Settings:
    usual = Settings()
    asked = {
        "n": whole(options, "n", low=6, high=1_000_000),
        "size": whole(options, "size", low=32, high=4096),
        "patients": whole(options, "patients", low=3, high=100_000),
        "seed": whole(options, "seed", low=0, high=2**31 - 1),
    }
    given = {name: value for name, value in asked.items() if value is not None}
    mpp = _mpp(options.get("mpp"))
    n = given.get("n", usual.n)
    # With fewer patches than the usual 40 patients need, patients become fewer unless a number was asked for.
    patients = given.get("patients", min(usual.patients, n // 2))
    found = Settings(n, given.get("size", usual.size), patients, given.get("seed", usual.seed), mpp)
    if found.n < 2 * found.patients:
        raise DataError(
            "each patient needs at least two patches",
            value=f"n={found.n} for patients={found.patients}",
            allowed=f"n of at least {2 * found.patients}",
            next_step="raise n or lower patients",
        )
    if found.size * mpp < _FIELD_UM:
        raise DataError(
            "the patches are too small to hold five tumour nuclei",
            value=f"size={found.size} at mpp={mpp:g} is {found.size * mpp:g} micrometres",
            allowed=f"at least {_FIELD_UM:g} micrometres",
            next_step=f"give size={int(np.ceil(_FIELD_UM / mpp))} or a larger mpp",
        )
    return found


def _mpp(text: str | None) -> float:
    if text is None:
        return Settings().mpp
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0.1 <= value <= 2:
        raise DataError(
            "the option mpp must be micrometres per pixel", value=text, allowed="0.1 to 2, for instance 0.5"
        )
    return value


def _entries(use: Settings, task: Task) -> list[Entry]:
    """Patches dealt to patients in turn, each patient with both classes; ids are PATIENT-NUMBER."""
    digits = max(2, len(str(use.patients)))
    names = [f"P{number + 1:0{digits}d}" for number in range(use.patients)]
    split = _splits(names, use.seed)
    found = []
    for index in range(use.n):
        patient = index % use.patients
        name = f"{names[patient]}-{index:04d}"
        target = 0 if task == "segment" else _label(name, use.patients)
        found.append(Entry(name, target, split[names[patient]], names[patient]))
    return found


def _label(name: str, patients: int) -> int:
    """Whether a patch is drawn with tumour (1) or not (0), by its number."""
    index = int(name.rpartition("-")[2])
    return (index // patients + index % patients) % 2


def _splits(names: Sequence[str], seed: int) -> dict[str, str]:
    order = sorted(names, key=lambda name: seed_of(RECIPE, seed, "split", name))
    part = max(1, round(0.2 * len(order)))
    return {name: "test" if i < part else "val" if i < 2 * part else "train" for i, name in enumerate(order)}


def miniature(folder: Path) -> str:
    """A spec of twelve small patches of four patients; nothing needs to be written."""
    folder.mkdir(parents=True, exist_ok=True)
    return "synthetic:tissue?n=12&size=48&patients=4&seed=0&mpp=1"
