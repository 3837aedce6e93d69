"""Faulty readers: each promise of the contract is seen broken, and named."""

import hashlib
import itertools
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.data.splits import choose
from percuss.testing.datasets import check_dataset

COUNTER = itertools.count()


class Plain(ImageSet):
    """A sound set of four images held in memory."""

    def __init__(self, spec, chosen=None):
        listed = [Entry(f"i{n}", n % 2, "train" if n < 2 else "test", f"p{n}") for n in range(4)]
        super().__init__(spec, "classify", ("a", "b"), self.listed(listed) if chosen is None else chosen)

    def listed(self, entries):
        return entries

    def read(self, case_id):
        entry = self.entry(case_id)
        pixels = np.full((1, 4, 4), int(case_id[1:]) * 9, np.uint8)
        return self.case(Case(case_id, pixels, PixelRange(), entry.target, group=entry.group))

    def case(self, case):
        return case

    def fingerprint(self, case_id):
        return hashlib.sha256(case_id.encode()).hexdigest()

    def subset(self, split=None, ids=None):
        return type(self)(self.spec, choose(self.entries, split, ids))


def reader(kind=Plain, **changes):
    def open_set(location, options):
        if location.endswith("absent") or set(options) - {"x"}:
            raise DataError("no")
        return kind(location)

    parts = {"__doc__": "A reader.", "open_set": open_set, "miniature": lambda folder: "plain:here?x=1"}
    return SimpleNamespace(**(parts | changes))


def changed(method, body):
    return type("Faulty", (Plain,), {method: body})


def case_with(**parts):
    def case(self, found):
        return Case(**(vars(found) | {k: v(found) if callable(v) else v for k, v in parts.items()}))

    return changed("case", case)


def listed_with(change):
    return changed("listed", lambda self, entries: [change(n, e) for n, e in enumerate(entries)])


def renamed(number, entry, **parts):
    return Entry(**(vars(entry) | parts))


def dialling(self, case_id):
    socket.create_connection(("127.0.0.1", 9))


FAULTY_SETS = {
    "two images have the same id": listed_with(lambda n, e: renamed(n, e, id="i0")),
    "not a printable text": listed_with(lambda n, e: renamed(n, e, id=f"i{n}\n")),
    "fewer than two images": changed("listed", lambda self, entries: entries[:1]),
    "the target of i3 is 5": listed_with(lambda n, e: renamed(n, e, target=5 if n == 3 else e.target)),
    "all images have the same target": listed_with(lambda n, e: renamed(n, e, target=0)),
    "have the shape": case_with(pixels=lambda c: c.pixels[0]),
    "empty, NaN or infinite": case_with(pixels=lambda c: np.full((1, 4, 4), np.nan)),
    "leave PixelRange": case_with(range=PixelRange(0, 20)),
    "off the native grid": case_with(pixels=lambda c: c.pixels + 0.5),
    "beyond what uint8 holds": case_with(range=PixelRange(0, 65535)),
    "when read, 0 in its entry": case_with(target=1),
    "when read, 'p0' before": case_with(group=None),
    "the mask of i0 is not whole numbers": case_with(mask=np.zeros((4, 4))),
    "the mask of i0 has another size": case_with(mask=np.zeros((3, 4), int)),
    "the spacing of i0": case_with(spacing_mm=(0.0, 1.0)),
    "stands in two splits": listed_with(lambda n, e: renamed(n, e, group="p")),
    "is not the images of that split": changed("subset", lambda self, split=None, ids=None: self),
    "does not keep the set's order": changed(
        "subset",
        lambda self, split=None, ids=None: Plain("x", choose(self.entries, split) if ids is None else self.entries),
    ),
    "is not SHA-256 in hex": changed("fingerprint", lambda self, case_id: case_id),
    "differ but have one fingerprint": changed("fingerprint", lambda self, case_id: "0" * 64),
    "the fingerprint of i3 changes": changed(
        "fingerprint", lambda self, case_id: hashlib.sha256(f"{next(COUNTER)}".encode()).hexdigest()
    ),
    "read twice, i3 has other pixels": case_with(pixels=lambda c: c.pixels + np.uint8(next(COUNTER) % 7)),
    "opens a network connection": changed("read", dialling),
}


def test_the_sound_reader_passes(tmp_path):
    check_dataset(reader(), tmp_path)


@pytest.mark.parametrize("words", FAULTY_SETS)
def test_a_faulty_set_is_caught(words, tmp_path):
    with pytest.raises(AssertionError, match=words):
        check_dataset(reader(FAULTY_SETS[words]), tmp_path)


def spare(location, options):
    return Plain(location)


def wrong_kind(location, options):
    if location.endswith("absent"):
        raise FileNotFoundError(location)
    return Plain(location)


def deaf(location, options):
    if location.endswith("absent"):
        raise DataError("no")
    return Plain(location)


def placed(location, options):
    class Placed(Plain):
        def fingerprint(self, case_id):
            return hashlib.sha256(f"{location}{case_id}".encode()).hexdigest()

    return Placed(location)


FAULTY_MODULES = {
    "no docstring": {"__doc__": ""},
    "a missing location raises nothing": {"open_set": spare},
    "a missing location raises FileNotFoundError": {"open_set": wrong_kind},
    "an unknown option raises nothing": {"open_set": deaf},
    "the fingerprint of i0 depends on its place": {"open_set": placed, "miniature": lambda folder: f"plain:{folder}"},
}


@pytest.mark.parametrize("words", FAULTY_MODULES)
def test_a_faulty_module_is_caught(words, tmp_path):
    with pytest.raises(AssertionError, match=words):
        check_dataset(reader(**FAULTY_MODULES[words]), Path(tmp_path))
