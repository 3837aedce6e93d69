"""What a set of class maps or heat maps promises: known classes at the image's size, in agreement with the nuclei."""

from __future__ import annotations

from typing import Any

import numpy as np

from percuss.core.class_maps import cells_of
from percuss.core.dense import IGNORE
from percuss.core.images import DENSE, Case, Entry, ImageSet


def check_maps(images: ImageSet) -> None:
    """Targets are uint8 maps of the image's size, of known classes, judged somewhere; instances agree with them.

    Of heat maps the size counts cells, the classes are two, and there are no instances. Classes that an entry tells are
    in its map, and some map of the set shows more than background. Sets of other tasks have neither maps nor instances.

    Raises:
        AssertionError: naming the broken promise and the image.
    """
    heat = images.task == "heatmap"
    _hold(
        images.cell == 1 or (heat and images.cell > 1), f"cells of {images.cell} pixels, and the task is {images.task}"
    )
    _hold(not heat or len(images.classes) == 2, f"a heat map tells two classes apart, not {len(images.classes)}")
    shown: set[int] = set()
    for entry in images.entries:
        case = images.read(entry.id)
        if images.task != "segment":
            _hold(case.instances is None, f"{entry.id} has instances, and its task is {images.task}")
        if images.task not in DENSE:
            continue
        here = _check_map(case, len(images.classes), images.cell)
        _check_entry(entry, here)
        shown |= here
        if case.instances is not None:
            _check_instances(case, np.asarray(case.target), case.instances)
    _hold(images.task not in DENSE or bool(shown - {0}), "every class map shows background alone")


def same_case(first: Case, second: Case) -> bool:
    """Whether two cases have the same pixels, class map (where there is one) and numbers of things."""
    pairs = [(first.pixels, second.pixels), (first.instances, second.instances)]
    if isinstance(first.target, np.ndarray) and first.target.ndim == 2:
        pairs.append((first.target, np.asarray(second.target)))
    return all(_same(one, other) for one, other in pairs)


def _check_map(case: Case, classes: int, cell: int) -> set[int]:
    """The classes that a map shows."""
    target, size = case.target, cells_of(case.pixels.shape[1:], cell)
    if not isinstance(target, np.ndarray) or target.ndim != 2 or target.dtype != np.uint8:
        raise AssertionError(f"the target of {case.id} is no class map of uint8")
    _hold(target.shape == size, f"the class map of {case.id} has another size than its image")
    found = set(np.unique(target).tolist()) - {IGNORE}
    _hold(bool(found), f"no pixel of {case.id} is judged")
    _hold(found <= set(range(classes)), f"the class map of {case.id} holds unknown classes: {sorted(found)}")
    return found


def _check_entry(entry: Entry, here: set[int]) -> None:
    told = set(entry.target) if isinstance(entry.target, tuple) else set()
    _hold(told <= here, f"the entry of {entry.id} tells classes that its map does not show: {sorted(told - here)}")


def _check_instances(case: Case, target: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any]) -> None:
    fits = numbers.dtype == np.int32 and numbers.shape == target.shape and int(numbers.min()) >= 0
    _hold(fits, f"the instances of {case.id} are no int32 numbers of its map's size")
    judged = target != IGNORE
    agree = (numbers > 0) == (target > 0)
    _hold(bool(agree[judged].all()), f"the instances of {case.id} are not zero exactly where its map is background")
    for number in np.unique(numbers[judged & (numbers > 0)]).tolist():
        kinds = np.unique(target[judged & (numbers == number)])
        _hold(len(kinds) == 1, f"number {number} of {case.id} has several classes: {kinds.tolist()}")


def _same(first: np.ndarray[Any, Any] | None, second: np.ndarray[Any, Any] | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and bool(np.array_equal(first, second))


def _hold(holds: bool, broken: str) -> None:
    if not holds:
        raise AssertionError(broken)
