"""Choosing, checking and making splits; a group (patient) is never divided."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from percuss.core.errors import DataError, nearest
from percuss.core.images import Entry
from percuss.core.seeds import seed_of
from percuss.data.options import share, whole

_ALIASES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
SPLIT_NAMES = frozenset({"train", "val", "test", *_ALIASES})


def split_name(text: str) -> str:
    """``train``, ``val`` or ``test`` for their usual spellings; any other name unchanged."""
    return _ALIASES.get(text.strip().lower(), text.strip().lower() if text.lower() in SPLIT_NAMES else text.strip())


def choose(entries: Sequence[Entry], split: str | None = None, ids: Sequence[str] | None = None) -> tuple[Entry, ...]:
    """The entries of a split, or with these ids, in the set's order. DataError on an unknown split or id."""
    found = tuple(entries)
    if split is not None:
        names = list(dict.fromkeys(entry.split for entry in entries if entry.split is not None))
        wanted = split_name(split)
        if wanted not in names:
            raise DataError(
                f"the set has no split {split}",
                value="it has no splits" if not names else f"it has {', '.join(names)}",
                next_step="name one of these with --split"
                if names
                else "make splits with ?split=0.6,0.2,0.2&seed=0 behind the spec, or take every image (--split all)",
            )
        found = tuple(entry for entry in found if entry.split == wanted)
    if ids is not None:
        known = {entry.id for entry in found}
        for name in ids:
            if name not in known:
                raise DataError("no such image in the set", value=name, allowed=nearest(name, known))
        kept = set(ids)
        found = tuple(entry for entry in found if entry.id in kept)
    return found


def check_entries(entries: Sequence[Entry]) -> None:
    """DataError where an id occurs twice, or a group stands in two splits."""
    for name, count in Counter(entry.id for entry in entries).items():
        if count > 1:
            raise DataError(f"an image is listed {count} times", value=name, next_step="keep one row for each image")
    home: dict[str, str] = {}
    for entry in entries:
        if entry.group is None or entry.split is None:
            continue
        first = home.setdefault(entry.group, entry.split)
        if first != entry.split:
            raise DataError(
                f"a group stands in the splits {first} and {entry.split}",
                value=entry.group,
                allowed="each patient or group in one split only",
                next_step="move all its images into one split; results on divided groups are too good",
            )


def with_splits(entries: Sequence[Entry], options: Mapping[str, str]) -> list[Entry]:
    """Entries with the split that ``?split=0.6,0.2,0.2&seed=0`` asks for; unchanged where it does not.

    DataError where splits are declared already, or the fractions make no sense.
    """
    if "split" not in options:
        if "seed" in options and "val" not in options:
            raise DataError("seed has no use without split", next_step="add ?split=0.6,0.2,0.2 to make splits")
        return list(entries)
    declared = {entry.split for entry in entries} - {None}
    if declared:
        raise DataError(
            "the set declares splits already",
            value=", ".join(sorted(map(str, declared))),
            next_step="leave ?split= out, or name an absent column with none declared",
        )
    return make_splits(entries, _fractions(options["split"]), seed=whole(options, "seed", low=0, high=2**31 - 1) or 0)


def with_val(entries: Sequence[Entry], options: Mapping[str, str]) -> list[Entry]:
    """Entries with the part of the split train that ``?val=0.1&seed=0`` asks for moved to the split val.

    For sets whose makers give train and test alone; unchanged without ``val``. Shares of classes are kept and
    groups whole. DataError where there is no split train, or a split val already.
    """
    part = share(options, "val")
    if part is None:
        if "seed" in options and "split" not in options:
            raise DataError("seed has no use alone", next_step="add ?val=0.1, or ?split= where the set allows it")
        return list(entries)
    splits = {entry.split for entry in entries}
    if "train" not in splits or "val" in splits:
        raise DataError(
            "val takes a part of the split train",
            value=f"the set has {', '.join(sorted(map(str, splits)))}",
            allowed="a set with train, and without val",
            next_step="leave ?val= out",
        )
    train = [entry for entry in entries if entry.split == "train"]
    drawn = make_splits(
        train, {"train": 1 - part, "val": part}, seed=whole(options, "seed", low=0, high=2**31 - 1) or 0
    )
    home = {entry.id: entry for entry in drawn}
    return [home.get(entry.id, entry) for entry in entries]


def _fractions(text: str) -> dict[str, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    names = {2: ("train", "test"), 3: ("train", "val", "test")}.get(len(values))
    if names is None or not all(0 < value < 1 for value in values) or abs(sum(values) - 1) > 1e-6:
        raise DataError(
            "the split fractions make no sense",
            value=text,
            allowed="two (train,test) or three (train,val,test) fractions that sum to 1, for instance 0.6,0.2,0.2",
        )
    return dict(zip(names, values, strict=True))


def make_splits(entries: Sequence[Entry], fractions: Mapping[str, float], *, seed: int = 0) -> list[Entry]:
    """Entries with a drawn split: class shares kept, groups whole, the same for any order of the entries.

    Args:
        entries: the cases; a case without a group is its own group.
        fractions: share of each split, in [0, 1], summing to 1.
        seed: another seed, another draw.
    """
    labels = _indicators(entries)
    groups: dict[tuple[str, str], list[int]] = {}
    for index, entry in enumerate(entries):
        groups.setdefault(_group(entry), []).append(index)
    total = labels.sum(0)
    missing = {name: share * total for name, share in fractions.items()}
    home: dict[tuple[str, str], str] = {}
    # Large groups first, while every split still has room; each goes where its classes are missed most.
    for key in sorted(groups, key=lambda key: (-len(groups[key]), seed_of(seed, "split", *key))):
        row = labels[groups[key]].sum(0)
        weight = row / np.maximum(total, 1)
        home[key] = max(missing, key=lambda name: float(weight @ missing[name]))
        missing[home[key]] = missing[home[key]] - row
    return [replace(entry, split=home[_group(entry)]) for entry in entries]


def _group(entry: Entry) -> tuple[str, str]:
    return ("case", entry.id) if entry.group is None else ("group", entry.group)


def _indicators(entries: Sequence[Entry]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """One row per entry: 1 for its class (or 0/1 per label), and a last column of ones."""
    if entries and isinstance(entries[0].target, tuple):
        body = np.array([entry.target for entry in entries], dtype=np.float64)
    else:
        targets = np.array([entry.target for entry in entries], dtype=np.int64)
        body = np.eye(int(targets.max(initial=0)) + 1)[targets]
    return np.hstack([body, np.ones((len(entries), 1))])


@dataclass(frozen=True)
class Fold:
    """One division for cross-validation: ids to train on and ids to validate on."""

    repeat: int
    fold: int
    train: tuple[str, ...]
    validate: tuple[str, ...]


def stratified_group_folds(entries: Sequence[Entry], folds: int = 5, repeats: int = 1, *, seed: int = 0) -> list[Fold]:
    """``folds * repeats`` divisions: classes in their shares, groups never divided, each case validated once a repeat.

    DataError where ``folds`` is below 2, or a class (or the set) has fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if folds < 2 or repeats < 1:
        raise DataError("cross-validation needs at least 2 folds and 1 repeat", value=f"{folds} x {repeats}")
    _check_folds(entries, folds)
    keys = sorted({_group(entry) for entry in entries})
    groups = np.array([keys.index(_group(entry)) for entry in entries])
    common = Counter(entry.target for entry in entries)
    # Rare label sets of a multilabel task share one stratum: they are too few to be spread.
    strata = np.array([str(entry.target) if common[entry.target] >= folds else "rare" for entry in entries])
    names = [entry.id for entry in entries]
    found = []
    for repeat in range(repeats):
        maker = StratifiedGroupKFold(folds, shuffle=True, random_state=seed_of(seed, "folds", repeat) % 2**32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class")
            parts = list(maker.split(np.zeros(len(names)), strata, groups))
        for number, (train, validate) in enumerate(parts):
            found.append(Fold(repeat, number, tuple(names[i] for i in train), tuple(names[i] for i in validate)))
    return found


def _check_folds(entries: Sequence[Entry], folds: int) -> None:
    groups: dict[object, set[tuple[str, str]]] = {"all classes": {_group(entry) for entry in entries}}
    for entry in entries:
        if isinstance(entry.target, int):
            groups.setdefault(f"class {entry.target}", set()).add(_group(entry))
    for name, members in groups.items():
        if len(members) < folds:
            raise DataError(
                f"{name} has too few groups for {folds} folds",
                value=len(members),
                allowed=f"at least {folds}",
                next_step=f"take at most {max(len(members), 2)} folds, or add cases",
            )
