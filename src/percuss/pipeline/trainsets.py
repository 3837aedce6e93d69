"""Which images train, which choose the best epoch, and which test; groups are never divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.core.images import DENSE, Entry, ImageSet, Tensors
from percuss.core.seeds import seed_of
from percuss.data.spec import load_data, parse_spec
from percuss.data.splits import Fold, make_splits, stratified_group_folds

#: Shares drawn where the set declares no splits.
SHARES = "0.7,0.15,0.15"
#: Share of the training images kept for validation where the set has no validation split.
KEPT = 0.15


@dataclass(frozen=True)
class Division:
    """Ids by use.

    Attributes:
        images: the whole set.
        spec: the data spec under which these splits are found again.
        train, val, test: ids; ``test`` may be empty.
        drawn: how splits that the set does not declare came about, empty where it declares them.
    """

    images: ImageSet
    spec: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    drawn: str = ""

    def csv(self) -> str:
        """Rows ``id,split`` as text."""
        uses = (("train", self.train), ("val", self.val), ("test", self.test))
        rows = [f"{_quoted(name)},{use}" for use, ids in uses for name in ids]
        return "\n".join(["id,split", *rows]) + "\n"


def divide(spec: str, seed: int) -> Division:
    """The division of a set: its own splits, or drawn ones. DataError where no image is left to train on."""
    images = load_data(spec)
    drawn = ""
    if not images.splits:
        spec += ("&" if parse_spec(spec)[2] else "?") + f"split={SHARES}&seed={seed}"
        images = load_data(spec)
        drawn = f"train, val and test were drawn ({SHARES}, seed {seed}), groups kept whole"
    if "train" not in images.splits:
        raise DataError(
            "the set has no train split",
            value=f"it has {', '.join(images.splits)}",
            next_step="name a split train, or let splits be drawn from a set that declares none",
        )
    train = [entry for entry in images.entries if entry.split == "train"]
    val = tuple(entry.id for entry in images.entries if entry.split == "val")
    if not val:
        train, val = _keep_some(train, images, seed)
        drawn = f"val was drawn from train (share {KEPT:g}, seed {seed}), groups kept whole"
    test = tuple(entry.id for entry in images.entries if entry.split == "test")
    return Division(images, spec, tuple(entry.id for entry in train), val, test, drawn)


def fold_divisions(whole: Division, folds: int, repeats: int, *, seed: int) -> list[tuple[Fold, Division]]:
    """Cross-validation over the training and validation images; ``test`` of each division is the fold left out.

    The best epoch is chosen on images kept back from the fold's training images, never on the fold left out.
    """
    known = {entry.id: entry for entry in whole.images.entries}
    entries = [known[name] for name in (*whole.train, *whole.val)]
    found = []
    for fold in stratified_group_folds(entries, folds, repeats, seed=seed):
        train, val = _keep_some([known[name] for name in fold.train], whole.images, seed)
        ids = tuple(entry.id for entry in train)
        found.append((fold, Division(whole.images, whole.spec, ids, val, fold.validate)))
    return found


def read(division: Division, ids: Sequence[str], use: str) -> Tensors:
    """The images of one use; DataError where none can be read, or all that train are of one class or background."""
    found = division.images.collect(ids)
    if not found.ids:
        first = f"first {found.bad[0].id}: {found.bad[0].reason}" if found.bad else "there are none"
        raise DataError(f"no {use} image can be used", value=first, next_step="mend the files or the data spec")
    if use == "training" and division.images.task == "classify" and len(set(found.targets.tolist())) < 2:
        raise DataError(
            "all training images are of one class",
            value=division.images.classes[int(found.targets[0])],
            allowed="two classes or more",
            next_step="look at the labels of the train split",
        )
    if use == "training" and division.images.task in DENSE and not _shows_something(found):
        raise DataError(
            "the class maps of all training images hold the background alone",
            value=f"{len(found.ids)} images",
            allowed=f"pixels of {', '.join(division.images.classes[1:])}",
            next_step="look at the masks of the train split, and at how their values are read",
        )
    return found


def _shows_something(found: Tensors) -> bool:
    """Whether a judged pixel is not background; map by map, so that no second copy of all maps is made."""
    return any(bool(((truth > 0) & (truth != IGNORE)).any()) for truth in found.targets)


def _keep_some(entries: list[Entry], images: ImageSet, seed: int) -> tuple[list[Entry], tuple[str, ...]]:
    strata = [_labelled(entry, images) for entry in entries]
    parted = make_splits(strata, {"train": 1 - KEPT, "val": KEPT}, seed=seed)
    if not any(entry.split == "val" for entry in parted):
        parted = _one_kept(strata, seed)
    val = tuple(entry.id for entry in parted if entry.split == "val")
    groups = {entry.group for entry in entries} - {None}
    if not val or len(val) == len(parted):
        raise DataError(
            "too few images or groups to keep some for validation",
            value=f"{len(entries)} training images" + (f", groups kept whole: {len(groups)}" if groups else ""),
            allowed="two groups (patients, slides) or more; without groups, two images of each kind",
            next_step="add some, or declare a val split",
        )
    return [entry for entry in parted if entry.split == "train"], val


def _one_kept(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """Few groups leave no share: then one drawn group is kept, so long as the others show all that is shown."""
    homes = [entry.id if entry.group is None else f"group {entry.group}" for entry in entries]
    names = sorted(set(homes), key=lambda name: seed_of(seed, "kept", name))
    shown = _kinds(entries)
    for name in names if len(names) > 1 else ():
        if _kinds([entry for entry, home in zip(entries, homes, strict=True) if home != name]) == shown:
            parts = zip(entries, homes, strict=True)
            return [replace(entry, split="val" if home == name else "train") for entry, home in parts]
    return [replace(entry, split="train") for entry in entries]


def _kinds(entries: Sequence[Entry]) -> set[object]:
    """Classes that some entries show, and labels that some have."""
    return {
        kind
        for entry in entries
        for kind in (
            [number for number, bit in enumerate(entry.target) if bit]
            if isinstance(entry.target, tuple)
            else [entry.target]
        )
    }


def _labelled(entry: Entry, images: ImageSet) -> Entry:
    """The entry of a segmenter's image with a 0/1 label for each class that it is known to show; others as they are."""
    if images.task not in DENSE:
        return entry
    shown = entry.target if isinstance(entry.target, tuple) else (entry.target,)
    return replace(entry, target=tuple(int(number in shown) for number in range(len(images.classes))))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n') else text
