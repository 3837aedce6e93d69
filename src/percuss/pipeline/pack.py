"""A pack for readers: true positives as they are and attacked, blinded, with the key in a folder of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from percuss.core.errors import RunError, UsageError, nearest
from percuss.core.seeds import seed_of
from percuss.pipeline import environment
from percuss.pipeline.finished import Finished, open_finished
from percuss.pipeline.progress import Progress
from percuss.report.numbers import class_text
from percuss.store.blind import LIST, leaks, stamp
from percuss.store.folder import RunFolder, check_free
from percuss.store.png import pixel_hash, slug, uncompressed
from percuss.store.safe import sha256_of

NAME = "percuss-pack-1"
ORIGINAL, PERTURBED = "original", "perturbed"
#: Folders of a pack: what a reader is given, and what stays here.
READER, KEY = "reader", "key"
#: Orders drawn until no case stands beside itself.
_TRIES = 1000


@dataclass(frozen=True)
class Pack:
    """A finished pack: its folder, and pack.json as plain values."""

    path: Path
    record: dict[str, Any]

    @property
    def reader(self) -> Path:
        """The folder to hand out."""
        return self.path / READER

    @property
    def key(self) -> pd.DataFrame:
        """A row per image: file, set, case, arm, and what the audit knows of it."""
        return pd.DataFrame(json.loads((self.path / KEY / "key.json").read_text(encoding="utf-8"))["images"])


@dataclass(frozen=True)
class _Wanted:
    """What is asked for; ``eps`` in the norm's own measure."""

    cases: int
    copies: int
    seed: int
    positive: str
    norm: str
    budget: str
    eps: float


@dataclass(frozen=True)
class _Entry:
    """One image of the pack: its case (from 1), arm and set (from 1), and its row in the audit."""

    case: int
    arm: str
    copy: int
    row: dict[str, Any]


def pack(
    run: Path | str,
    *,
    out: Path | str,
    progress: Progress | None = None,
    budget: str | None = None,
    **options: Any,
) -> Pack:
    """Export true positives of a finished audit, original and attacked, for readers who must not know which is which.

    Args:
        run: run folder of ``percuss audit``.
        out: folder to make; ``out/reader`` is for the readers, ``out/key`` is not. A finished pack is read.
        progress: told what happens.
        budget: one of the run's, as text; None: the largest of its first norm.
        options: ``cases`` (20), ``copies`` (2) of each image, ``positive``, the class (default the last one), and
            ``seed`` (0), which decides the choice and the order.

    The cases are drawn among images of the class that the model decides rightly and that an attack within the budget
    flips as stored. The attacked one is the smallest such flip that the audit kept. After Foote et al.: 20 cases,
    both forms, two copies.

    Raises:
        UsageError: an unknown option, class or budget, or a number below 1.
        RunError: no finished audit there, too few cases, a folder of another run.
    """
    say, path = progress or Progress(), Path(out)
    check_free(path)
    found = open_finished(Path(run), Path(run).name)
    wanted = _wanted(found, budget, options)
    cases = _chosen(found, wanted)
    folder = RunFolder.start(path, _identity(found, wanted))
    try:
        if folder.finished and folder.damaged():
            folder.reopen()
        if not folder.finished:
            _write(folder, found, wanted, cases)
            say.line(f"{wanted.cases} cases, {wanted.copies} copies of both forms: {folder.path / READER}")
    finally:
        folder.close()
    return read_pack(path)


def read_pack(path: Path) -> Pack:
    """A finished pack from its folder; RunError where there is none, or one of another form."""
    try:
        record = json.loads((path / "pack.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError("the folder holds no pack", value=path, next_step="give its percuss pack command") from error
    if record.get("schema_version") != NAME:
        raise RunError("the pack has another form", value=record.get("schema_version"), allowed=NAME)
    return Pack(path, record)


def _wanted(found: Finished, budget: str | None, options: dict[str, Any]) -> _Wanted:
    known = {"cases": 20, "copies": 2, "seed": 0, "positive": None}
    for name in options:
        if name not in known:
            raise UsageError("unknown option", value=name, allowed=nearest(name, known))
    given = known | options
    for name in ("cases", "copies"):
        if given[name] < 1:
            raise UsageError(f"the option {name} is too small", value=given[name], allowed="1 or more")
    data = found.results.data
    if data.task != "classify":
        ways = {
            "multilabel": "audit one label with --label",
            "heatmap": "report.html of the run shows heat maps before and after",
        }
        way = ways.get(data.task, "percuss report shows masks as pictures")
        raise UsageError("a pack needs one class per image", value=data.task, next_step=way)
    positive = data.classes[-1] if given["positive"] is None else given["positive"]
    if positive not in data.classes:
        raise UsageError("there is no such class", value=positive, allowed=nearest(positive, data.classes))
    sizes = found.rows.drop_duplicates(["norm", "budget"])[["norm", "budget", "eps"]]
    own = sizes[sizes["norm"] == sizes["norm"].iloc[0]] if budget is None else sizes[sizes["budget"] == budget]
    if not len(own):
        raise UsageError("the run has no such budget", value=budget, allowed=", ".join(sizes["budget"]))
    norm, text, eps = own.sort_values("eps").iloc[-1]
    return _Wanted(given["cases"], given["copies"], given["seed"], positive, str(norm), str(text), float(eps))


def _identity(found: Finished, wanted: _Wanted) -> dict[str, str]:
    said = {name: str(value) for name, value in vars(wanted).items()}
    return {"command": "pack", "run": found.results.run_id, "rows": sha256_of(found.path / "rows.parquet"), **said}


def _chosen(found: Finished, wanted: _Wanted) -> tuple[list[dict[str, Any]], int]:
    """The rows of the cases drawn, and how many could have been; RunError where they are too few."""
    rows, label = found.rows, str(found.results.data.classes.index(wanted.positive))
    fits = (rows["norm"] == wanted.norm) & (rows["eps"] <= wanted.eps) & (rows["label"] == label)
    fits &= rows["correct"].astype(bool) & rows["success_stored"].astype(bool) & (rows["image"] != "")
    able = sorted(rows[fits].to_dict("records"), key=lambda row: str(row["id"]))
    if len(able) < wanted.cases:
        raise RunError(
            "too few true positives whose attack succeeded as stored",
            value=f"{len(able)} of class {wanted.positive} within {wanted.budget}, {wanted.cases} asked for",
            next_step="give fewer --cases, a larger --budget, or audit more images",
        )
    drawn = _shuffled(len(able), wanted.seed, "cases")[: wanted.cases]
    return [{str(key): value for key, value in able[i].items()} for i in drawn], len(able)


def _shuffled(count: int, *keys: object) -> list[int]:
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed_of("pack", *keys))).tolist()
    return order


def _ordered(rows: Sequence[dict[str, Any]], wanted: _Wanted) -> list[_Entry]:
    """All images, a set (one copy of each) after the other, each in an order of its own.

    The two forms of a case do not stand beside each other where that can be had.
    """
    found: list[_Entry] = []
    for copy in range(1, wanted.copies + 1):
        made = [_Entry(case, arm, copy, row) for case, row in enumerate(rows, 1) for arm in (ORIGINAL, PERTURBED)]
        for turn in range(_TRIES):
            block = [made[i] for i in _shuffled(len(made), wanted.seed, "order", copy, turn)]
            joined = [*found[-1:], *block]
            if all(one.case != two.case for one, two in itertools.pairwise(joined)):
                break
        found += block
    return found


def _write(folder: RunFolder, found: Finished, wanted: _Wanted, cases: tuple[list[dict[str, Any]], int]) -> None:
    """The images, their list, the key, pack.json; RunError where a file would tell which images are attacked."""
    rows, able = cases
    entries = _ordered(rows, wanted)
    wide = max(3, len(str(len(entries))))
    folder.drop(READER)
    listed, keyed = [], []
    for number, entry in enumerate(entries, 1):
        name = f"{number:0{wide}}.png"
        digest = folder.write(f"{READER}/{name}", _image(found, entry))
        stamp(folder.path / READER / name)
        listed.append({"file": name, "set": entry.copy, "sha256": digest})
        keyed.append({**listed[-1], "case": entry.case, "arm": entry.arm, **_known(found, entry)})
    head = {"schema_version": NAME, "pack_id": folder.run_id}
    folder.write(f"{READER}/{LIST}", _text({**head, "images": listed}))
    told = leaks(folder.path / READER, {item["file"]: item["arm"] for item in keyed})
    if told:
        raise RunError("the files of the pack would tell which images are attacked", value="; ".join(told))
    folder.write(f"{KEY}/key.json", _text({**head, "images": keyed}))
    folder.write(f"{KEY}/key.csv", pd.DataFrame(keyed).to_csv(index=False))
    said = {name: value for name, value in vars(wanted).items() if name != "eps"}
    record = {
        **head,
        "percuss_version": environment.version(),
        "run": {"run_id": found.results.run_id, "model_sha256": found.results.model.sha256},
        **said,
        "eligible": able,
        "images": len(listed),
        "sets": [{"set": copy, **_counted(keyed, copy)} for copy in range(1, wanted.copies + 1)],
        "findings": [],
    }
    folder.write("pack.json", _text(record))
    folder.finish()


def _counted(keyed: Sequence[dict[str, Any]], copy: int) -> dict[str, int]:
    return {arm: sum((item["set"], item["arm"]) == (copy, arm) for item in keyed) for arm in (ORIGINAL, PERTURBED)}


def _image(found: Finished, entry: _Entry) -> bytes:
    """The file of one image, its pixels those that the audit kept; RunError where they are not."""
    case = str(entry.row["id"])
    kept = f"images/original/{slug(case)}.png" if entry.arm == ORIGINAL else str(entry.row["image"])
    source = (found.path / kept).read_bytes()
    made = uncompressed(source)
    if pixel_hash(made) != pixel_hash(source):
        raise RunError("an image of the pack is not that of the run", value=case, next_step="run percuss audit again")
    return made


def _known(found: Finished, entry: _Entry) -> dict[str, Any]:
    """What the key says of an image: its id, label, what the model says of it, and how it was attacked."""
    row, data, attacked = entry.row, found.results.data, entry.arm == PERTURBED
    said = row["prediction"] if attacked else row["clean_prediction"]
    sure = row["confidence"] if attacked else row["clean_confidence"]
    sizes = {name: float(row[name]) if attacked else 0.0 for name in ("linf", "l2", "l1", "l0")}
    return {
        "id": str(row["id"]),
        "group": str(row["group"] or ""),
        "label": class_text(str(row["label"]), data),
        "model_says": class_text(str(said), data),
        "confidence": float(sure),
        "attack": str(row["attack"]) if attacked else "",
        "budget": str(row["budget"]) if attacked else "",
        **sizes,
    }


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
