"""Cases of a study: how many of each class, and which images of a finished audit can be one, in a drawn order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from percuss.core.budget import Budget
from percuss.core.errors import RunError, UsageError, nearest
from percuss.core.images import DENSE
from percuss.core.results import DataRecord
from percuss.core.seeds import seed_of
from percuss.pipeline.finished import Finished
from percuss.pipeline.study_design import Design
from percuss.pipeline.study_options import StudyOptions


@dataclass(frozen=True)
class Pool:
    """Images that can be cases of one class (of all where it is empty), in the order in which they are taken, and how
    many are wanted."""

    truth: str
    ids: tuple[str, ...]
    wanted: int


def make_pools(found: Finished, design: Design, preset: str) -> list[Pool]:
    """Which images can be cases: decided rightly by the model, and where so asked flipped by the attack as stored.

    Patients take turns, so that a study has as many of them as it can; which image of each is drawn by the seed.

    Raises:
        UsageError: numbers of cases that make no sense, or classes that the run does not have.
        RunError: too few images that fit; says how many there are.
    """
    counts = _counts(found.results.data, design.options, preset)
    able = _able(found, design)
    pools = []
    for truth, wanted in counts.items():
        own = able[able["truth"] == truth] if truth else able
        pool = Pool(truth, _drawn(own, design.seed), wanted)
        check_enough(pool, design, {})
        pools.append(pool)
    return pools


def check_enough(pool: Pool, design: Design, refused: Mapping[str, str]) -> None:
    """RunError where a pool has fewer images than are wanted; names why images of it were refused."""
    left = [name for name in pool.ids if name not in refused]
    if len(left) >= pool.wanted:
        return
    kind = f"of class {pool.truth} " if pool.truth else ""
    fits = f"that an attack within {design.sizes[-1]} flips as stored" if design.options.only_flipped else "that fit"
    # What stands in brackets is of the image alone.
    why = Counter(refused[name].partition(" (")[0] for name in pool.ids if name in refused)
    told = f"{len(left)} {kind}{fits}, {pool.wanted} asked for"
    told += "".join(f"; {count} left out: {reason}" for reason, count in why.items())
    ways = "give fewer --cases, a larger --budget, or audit more images"
    raise RunError("the run has too few cases for the study", value=told, next_step=ways)


def flips_within(found: Finished, size: Budget, design: Design) -> pd.DataFrame:
    """The smallest stored flip that the audit kept within a size, a row for each image that has one, by id."""
    rows, most = found.rows, size.eps(tuple(found.results.data.shape), design.pixels)
    fits = (rows["norm"] == size.norm.value) & (rows["eps"] <= most * (1 + 1e-9)) & (rows["image"] != "")
    fits &= rows["success_stored"].astype(bool) & _attack(rows)
    kept = rows[fits].sort_values(["id", "eps", "attack"], kind="stable").drop_duplicates("id")
    return kept.set_index("id", drop=False)


def flip_sizes(found: Finished) -> tuple[dict[str, dict[str, float | None]], dict[str, float]]:
    """The smallest size that flips each image as stored, by id and norm (None where none tried does), and the largest
    size that the audit tried, by norm. Sizes are in the norm's own measure; ``none`` has no size and is left out."""
    rows = found.rows[_attack(found.rows) & (found.rows["norm"] != "none")]
    largest = {str(norm): float(eps) for norm, eps in rows.groupby("norm")["eps"].max().items()}
    flips = rows[rows["success_stored"].astype(bool)].groupby(["id", "norm"], as_index=False)["eps"].min()
    known = {
        (str(name), str(norm)): float(eps)
        for name, norm, eps in zip(flips["id"], flips["norm"], flips["eps"], strict=True)
    }
    return {name: {norm: known.get((name, norm)) for norm in largest} for name in map(str, found.clean["id"])}, largest


def _attack(rows: pd.DataFrame) -> pd.Series[bool]:
    """Rows of attacks; noise is their control."""
    return ~rows["attack"].str.contains("noise", regex=False)


def _able(found: Finished, design: Design) -> pd.DataFrame:
    """Id, group and truth of the images that can be cases."""
    clean, data = found.clean, found.results.data
    able = clean if data.task in DENSE else clean[clean["correct"].astype(bool)]
    if design.options.only_flipped:
        able = able[able["id"].isin(set(flips_within(found, design.sizes[-1], design)["id"]))]
    truths = truths_of(found)
    ids = able["id"].astype(str)
    return pd.DataFrame({"id": ids, "group": able["group"].astype(str), "truth": [truths[name] for name in ids]})


def truths_of(found: Finished) -> dict[str, str]:
    """The truth of every image of the run, by id."""
    data, clean = found.results.data, found.clean
    return {str(name): truth_of(str(label), data) for name, label in zip(clean["id"], clean["label"], strict=True)}


def truth_of(label: str, data: DataRecord) -> str:
    """The class as the study counts it: its name; of several labels those that hold; of maps nothing."""
    if data.task == "classify":
        return data.classes[int(label)]
    if data.task == "multilabel":
        return ", ".join(name for name, bit in zip(data.classes, label, strict=True) if bit == "1")
    return ""


def _counts(data: DataRecord, options: StudyOptions, preset: str) -> dict[str, int]:
    """How many cases of each class; of all together under an empty name where images have no single class."""
    asked = _by_class(options.cases) if isinstance(options.cases, str) else options.cases
    if not isinstance(asked, dict):
        number = int(asked or 0)
        if number < 1:
            raise UsageError("the number of cases is too small", value=asked, allowed="1 or more", next_step="give 20")
        if data.task != "classify":
            return {"": number}
        positive = options.positive or data.classes[-1]
        if preset == "foote":
            return {positive: number}
        return _halved(number, positive, data.classes)
    for name, count in asked.items():
        if data.task != "classify" or name not in data.classes:
            known = data.classes if data.task == "classify" else ["a number alone"]
            raise UsageError("there is no such class", value=name, allowed=nearest(name, known), next_step="name one")
        if count < 1:
            raise UsageError("the number of cases is too small", value=f"{name}={count}", allowed="1 or more")
    return asked


def _halved(number: int, positive: str, classes: Sequence[str]) -> dict[str, int]:
    """Half of the cases, or one more, of the positive class, the others evenly of the rest; no class without a case."""
    others = [name for name in classes if name != positive]
    half = number - number // 2
    shares = {name: (number - half) // len(others) for name in others}
    for name in others[: (number - half) % len(others)]:
        shares[name] += 1
    shares[positive] = half
    return {name: shares[name] for name in classes if shares[name]}


def _by_class(text: str) -> dict[str, int] | int:
    """``20``, or ``tumour=12,normal=8``."""
    try:
        if "=" not in text:
            return int(text)
        pairs = [(name.strip(), int(number)) for name, _, number in (item.rpartition("=") for item in text.split(","))]
        if len(dict(pairs)) < len(pairs):
            raise UsageError("a class is named twice", value=text, next_step="give the cases of each class once")
        return dict(pairs)
    except ValueError as error:
        raise UsageError(
            "the number of cases cannot be read",
            value=text,
            allowed="20, or by class: tumour=12,normal=8",
            next_step="write it so",
        ) from error


def _drawn(able: pd.DataFrame, seed: int) -> tuple[str, ...]:
    """The ids in a drawn order: one image of each patient, then a second one of each, and so on."""
    ranked: list[tuple[int, int, str]] = []
    for patient, part in able.groupby("group", sort=True):
        order: Sequence[str] = sorted(part["id"], key=lambda name: seed_of(seed, "study case", name))
        known = bool(patient)
        ranked += [(rank if known else 0, seed_of(seed, "study turn", name), name) for rank, name in enumerate(order)]
    return tuple(name for _, _, name in sorted(ranked))
