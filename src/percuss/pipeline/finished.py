"""Finished audits opened to be set against each other, and whether they judged the same images at the same sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from percuss.core.errors import RunError
from percuss.core.images import DENSE
from percuss.core.results import Results
from percuss.evaluate.comparison import Side, cell_of
from percuss.report.schema import read_results
from percuss.store.folder import RunFolder
from percuss.store.png import pixel_hash, slug

_AGAIN = "give the percuss audit command of that run again"
_SHARED = "audit both in the same way, or give --shared to compare only what they share"


@dataclass(frozen=True)
class Finished:
    """A finished audit: its name here, results, tables, and the hash of each image's pixels."""

    name: str
    path: Path
    results: Results
    rows: pd.DataFrame
    clean: pd.DataFrame
    pixels: dict[str, str]

    def known(self) -> dict[str, tuple[str, str]]:
        """Pixels and label (class names where there are any, hash of the true map) of each image, by id."""
        classes, task = self.results.data.classes, self.results.data.task
        labels = [classes[int(text)] if task == "classify" else str(text) for text in self.clean["label"]]
        if task in DENSE:
            maps = [self.path / "maps" / "truth" / f"{slug(str(name))}.png" for name in self.clean["id"]]
            labels = [pixel_hash(path.read_bytes()) for path in maps]
        return {
            str(name): (self.pixels[str(name)], label) for name, label in zip(self.clean["id"], labels, strict=True)
        }

    def sizes(self) -> dict[tuple[str, float], str]:
        """Budgets by norm and size, with the text they were given as."""
        found = self.rows.drop_duplicates(["norm", "budget"])
        return {
            cell_of("", str(norm), float(eps))[1:]: str(budget)
            for norm, eps, budget in zip(found["norm"], found["eps"], found["budget"], strict=True)
        }


def open_finished(path: Path, name: str) -> Finished:
    """A finished audit from its folder; RunError where it is none, unfinished or damaged."""
    folder = RunFolder.existing(path)
    if "attacks" not in folder.manifest["identity"]:
        raise RunError("the folder holds no audit", value=path, next_step="name folders that percuss audit wrote")
    if not folder.finished:
        raise RunError("the run is not finished", value=path, next_step=_AGAIN)
    damaged = folder.damaged()
    if damaged:
        value = f"{path}: {len(damaged)} files, first {damaged[0]}"
        raise RunError("files of the run are gone or changed", value=value, next_step=_AGAIN)
    clean = folder.read_table("clean.parquet")
    pixels = {}
    for case in map(str, clean["id"]):
        try:
            pixels[case] = pixel_hash((path / "images" / "original" / f"{slug(case)}.png").read_bytes())
        except OSError as error:
            raise RunError("an image of the run cannot be read", value=f"{path}: {case}", next_step=_AGAIN) from error
    return Finished(name, path, read_results(path / "results.json"), folder.read_table("rows.parquet"), clean, pixels)


def names_of(paths: Sequence[Path]) -> list[str]:
    """A short name for each folder: its last part, or the whole path where two end alike; RunError for one twice."""
    whole = [path.resolve() for path in paths]
    for path, real in zip(paths, whole, strict=True):
        if whole.count(real) > 1:
            raise RunError("a run is named twice", value=path, next_step="name different runs")
    ends = [real.name for real in whole]
    return [end if ends.count(end) == 1 else str(path) for end, path in zip(ends, paths, strict=True)]


def same_kind(runs: Sequence[Finished]) -> None:
    """RunError where runs differ in task, classes, shape or depth of the images: nothing in them can be compared."""
    first = runs[0]
    for other in runs[1:]:
        for what in ("task", "classes", "shape", "unit", "levels"):
            one, two = getattr(first.results.data, what), getattr(other.results.data, what)
            if one != two:
                raise RunError(
                    f"the runs judge images that differ in {what}",
                    value=f"{first.name} {one}; {other.name} {two}",
                    next_step="audit the same images in the same way",
                )


def shared_images(runs: Sequence[Finished], *, partly: bool) -> list[str]:
    """Ids of the images that all runs judged: same id, same pixels, same label, in the order of the first run.

    RunError saying which differ and how many are shared, unless ``partly`` allows some to be left out.
    """
    known = [run.known() for run in runs]
    shared = [name for name in known[0] if all(other.get(name) == known[0][name] for other in known[1:])]
    faults = [_image_faults(runs[0], runs[i], known[0], known[i]) for i in range(1, len(runs)) if known[i] != known[0]]
    if faults and (not shared or not partly):
        sizes = ", ".join(f"{run.name} {len(found)}" for run, found in zip(runs, known, strict=True))
        raise RunError(
            f"the runs did not judge the same images: they share {len(shared)} ({sizes})",
            value="; ".join(faults),
            next_step=_SHARED if shared else "audit both on the same images",
        )
    return shared


def _image_faults(
    first: Finished, other: Finished, one: dict[str, tuple[str, str]], two: dict[str, tuple[str, str]]
) -> str:
    both = [name for name in one if name in two]
    kinds = {
        f"only in {first.name}": [name for name in one if name not in two],
        f"only in {other.name}": [name for name in two if name not in one],
        "with other pixels under the same id": [name for name in both if one[name][0] != two[name][0]],
        "with another label": [name for name in both if one[name][0] == two[name][0] and one[name][1] != two[name][1]],
    }
    said = [f"{len(names)} {kind} (first {names[0]})" for kind, names in kinds.items() if names]
    moved = len({pixels for pixels, _ in one.values()} & {pixels for pixels, _ in two.values()})
    moved -= len([name for name in both if one[name][0] == two[name][0]])
    said += [f"{moved} with the same pixels under another id"] if moved > 0 else []
    return f"{first.name} and {other.name}: " + ", ".join(said)


def shared_sizes(runs: Sequence[Finished], *, partly: bool) -> set[tuple[str, float]]:
    """Norms and sizes that all runs tried; RunError saying which differ, unless ``partly`` and some are shared."""
    tried = [run.sizes() for run in runs]
    shared = set(tried[0]).intersection(*tried[1:])
    left = [
        f"only in {run.name}: {', '.join(text for key, text in sizes.items() if key not in shared)}"
        for run, sizes in zip(runs, tried, strict=True)
        if set(sizes) - shared
    ]
    if left and (not shared or not partly):
        raise RunError(
            f"the runs did not try the same budgets: they share {len(shared)}",
            value="; ".join(left),
            next_step=_SHARED if shared else "audit both within the same budgets",
        )
    return shared


def sides(runs: Sequence[Finished], ids: Sequence[str], sizes: set[tuple[str, float]]) -> tuple[list[Side], list[str]]:
    """The runs restricted to shared images and sizes, and the patient of each image from the first run that knows."""
    found = []
    groups = [""] * len(ids)
    for run in runs:
        clean = run.clean.set_index("id", drop=False).loc[list(ids)].reset_index(drop=True)
        keys = [
            cell_of("", str(norm), float(eps))[1:] for norm, eps in zip(run.rows["norm"], run.rows["eps"], strict=True)
        ]
        rows = run.rows[run.rows["id"].isin(set(ids)) & pd.Series([k in sizes for k in keys], index=run.rows.index)]
        found.append(Side(run.name, rows.reset_index(drop=True), clean))
        if not any(groups):
            groups = [str(group or "") for group in clean["group"]]
    return found, groups
