"""The contract of a data reader; run it on your own with ``check_dataset(module, folder)``."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, get_args

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import DENSE, Case, ImageSet, Task
from percuss.data.spec import parse_spec
from percuss.testing.class_maps import check_maps, same_case

Check = Callable[[ImageSet], None]


def check_dataset(module: ModuleType, folder: Path, options: Mapping[str, str] | None = None) -> None:
    """Run every check on a reader.

    Args:
        module: has ``open_set(location, options) -> ImageSet``, ``miniature(folder) -> spec``, a docstring.
        folder: an empty folder to write miniatures in.
        options: added to those of the miniature's spec, where a reader has several tasks (``{"task": "segment"}``).

    Raises:
        AssertionError: naming the broken promise and the image.
    """
    _hold(bool((module.__doc__ or "").strip()), "the module has no docstring, which listings show")
    with no_network():
        spec = module.miniature(folder / "first")
        _, location, given = parse_spec(spec)
        given |= options or {}

        def open_again() -> ImageSet:
            found: ImageSet = module.open_set(location, dict(given))
            return found

        images = open_again()
        for check in CHECKS:
            check(images)
        check_repeats(images, open_again())
        again = parse_spec(module.miniature(folder / "second"))
        check_miniature(images, module.open_set(again[1], {**again[2], **(options or {})}))
        check_errors(module, location, given)


@contextmanager
def no_network() -> Iterator[None]:
    """Within, opening any network connection fails the contract."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the reader opens a network connection; data must come from the given location")

    kept = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = kept  # type: ignore[method-assign]


def check_ids(images: ImageSet) -> None:
    """There are images; ids are distinct texts without odd characters, and known to ``entry``."""
    _hold(len(images) > 1, "the miniature holds fewer than two images")
    _hold(len(set(images.ids)) == len(images), "two images have the same id")
    for name in images.ids:
        _hold(isinstance(name, str) and bool(name) and name.isprintable(), f"the id {name!r} is not a printable text")
        _hold(images.entry(name).id == name, f"entry({name!r}) is another image's")
    _hold(bool(images.spec), "spec is empty")


def check_targets(images: ImageSet) -> None:
    """Task and classes fit the targets: an index below the number of classes, 0/1 for each, or classes shown."""
    _hold(images.task in get_args(Task), f"unknown task {images.task!r}")
    count = len(images.classes)
    _hold(len(set(images.classes)) == count and count >= (1 if images.task == "multilabel" else 2), "classes repeat")
    for entry in images.entries:
        target = entry.target
        if images.task == "classify":
            fits = type(target) is int and 0 <= target < count
        elif images.task in DENSE:
            shown = target if isinstance(target, tuple) else (target,)
            fits = target == 0 or (isinstance(target, tuple) and list(shown) == sorted(set(shown) & set(range(count))))
        else:
            fits = isinstance(target, tuple) and len(target) == count and set(target) <= {0, 1}
        _hold(fits, f"the target of {entry.id} is {target!r}, with {count} classes and task {images.task}")
    same = len({entry.target for entry in images.entries}) == 1
    _hold(images.task in DENSE or not same, "all images have the same target")


def check_pixels(images: ImageSet) -> None:
    """Pixels are ``[1 or 3, height, width]`` numbers on the native grid within the declared range."""
    for name in images.ids:
        case = images.read(name)
        pixels, levels = case.pixels, case.range
        _hold(case.id == name, f"read({name!r}) returns {case.id!r}")
        _hold(pixels.ndim == 3 and pixels.shape[0] in (1, 3), f"pixels of {name} have the shape {pixels.shape}")
        _hold(pixels.size > 0 and bool(np.isfinite(pixels).all()), f"pixels of {name} are empty, NaN or infinite")
        low, high = float(pixels.min()), float(pixels.max())
        _hold(levels.low <= low and high <= levels.high, f"pixels of {name} ({low:g} to {high:g}) leave {levels}")
        steps = (pixels.astype(np.float64) - levels.low) / levels.step
        _hold(bool(np.allclose(steps, np.rint(steps), atol=1e-6)), f"pixels of {name} are off the native grid {levels}")
        if pixels.dtype.kind in "iu":
            depth = np.iinfo(pixels.dtype)
            _hold(levels.high <= depth.max, f"the range of {name} is beyond what {pixels.dtype} holds")


def check_agreement(images: ImageSet) -> None:
    """What ``read`` returns agrees with the entry: target, group; mask and spacing make sense."""
    for entry in images.entries:
        case = images.read(entry.id)
        if images.task not in DENSE:
            target = case.target if isinstance(case.target, int) else tuple(np.asarray(case.target).tolist())
            words = f"the target of {entry.id} is {target} when read, {entry.target} in its entry"
            _hold(target == entry.target, words)
        _hold(case.group == entry.group, f"the group of {entry.id} is {case.group!r} when read, {entry.group!r} before")
        if case.mask is not None:
            _hold(case.mask.dtype.kind in "iub", f"the mask of {entry.id} is not whole numbers")
            _hold(case.mask.shape[-2:] == case.pixels.shape[1:], f"the mask of {entry.id} has another size")
        if case.spacing_mm is not None:
            _hold(min(case.spacing_mm) > 0, f"the spacing of {entry.id} is not above zero")


def check_splits(images: ImageSet) -> None:
    """No group in two splits; ``subset`` by split or ids gives exactly those, in order; unknown names raise."""
    home: dict[str, str | None] = {}
    for entry in images.entries:
        if entry.group is not None:
            _hold(
                home.setdefault(entry.group, entry.split) == entry.split, f"group {entry.group!r} stands in two splits"
            )
    for split in images.splits:
        wanted = tuple(entry.id for entry in images.entries if entry.split == split)
        part = images.subset(split=split)
        _hold(part.ids == wanted, f"subset(split={split!r}) is not the images of that split in order")
        _hold(part.classes == images.classes, f"the classes change in the split {split!r}")
    few = images.ids[::2]
    _hold(images.subset(ids=few[::-1]).ids == few, "subset(ids=...) does not keep the set's order")
    _raises("subset with an unknown split", lambda: images.subset(split="no-such-split"))
    _raises("subset with an unknown id", lambda: images.subset(ids=["no such image"]))
    _raises("read with an unknown id", lambda: images.read("no such image"))


def check_fingerprints(images: ImageSet) -> None:
    """Fingerprints are SHA-256 in hex, and images with different pixels have different ones."""
    seen: dict[str, Case] = {}
    for name in images.ids:
        text, case = images.fingerprint(name), images.read(name)
        _hold(re.fullmatch(r"[0-9a-f]{64}", text) is not None, f"the fingerprint of {name} is not SHA-256 in hex")
        other = seen.setdefault(text, case)
        _hold(same_case(other, case), f"{other.id} and {name} differ but have one fingerprint")


CHECKS: Sequence[Check] = (
    check_ids,
    check_targets,
    check_pixels,
    check_maps,
    check_agreement,
    check_splits,
    check_fingerprints,
)


def check_repeats(images: ImageSet, again: ImageSet) -> None:
    """Opening and reading twice gives the same bytes, also when read in another order."""
    _hold(images.entries == again.entries and images.classes == again.classes, "opened twice, the entries differ")
    for name in reversed(images.ids):
        first, second = images.read(name), again.read(name)
        _hold(_same(first.pixels, second.pixels), f"read twice, {name} has other pixels")
        _hold(same_case(first, second), f"read twice, {name} has another class map")
        _hold(images.fingerprint(name) == again.fingerprint(name), f"the fingerprint of {name} changes")
    _hold(
        images.subset(ids=images.ids[:1]).fingerprint(images.ids[0]) == again.fingerprint(images.ids[0]),
        "the fingerprint changes in a subset",
    )


def check_miniature(images: ImageSet, other: ImageSet) -> None:
    """Two miniatures are equal, wherever they are written."""
    _hold(images.ids == other.ids, "ids depend on where the data lies")
    for name in images.ids:
        _hold(same_case(images.read(name), other.read(name)), f"miniature writes {name} differently each time")
        _hold(images.fingerprint(name) == other.fingerprint(name), f"the fingerprint of {name} depends on its place")


def check_errors(module: ModuleType, location: str, options: dict[str, str]) -> None:
    """A location that does not exist and an option nobody knows are DataErrors."""
    _raises("a missing location", lambda: module.open_set(f"{location}-absent", dict(options)))
    _raises("an unknown option", lambda: module.open_set(location, {**options, "no_such_option": "1"}))


def _same(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> bool:
    return first.dtype == second.dtype and bool(np.array_equal(first, second))


def _raises(what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except DataError:
        return
    except Exception as error:
        raise AssertionError(f"{what} raises {type(error).__name__} and not DataError") from error
    raise AssertionError(f"{what} raises nothing")


def _hold(holds: bool, broken: str) -> None:
    if not holds:
        raise AssertionError(broken)
