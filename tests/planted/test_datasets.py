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


class Maps(Plain):
    """A sound set of class maps: background, things of class 1 and 2 on each, and a pixel that is not judged."""

    def __init__(self, spec, chosen=None):
        super().__init__(spec, chosen)
        self.task, self.classes = "segment", ("ground", "a", "b")

    def listed(self, entries):
        return [renamed(number, entry, target=0 if number else (1, 2)) for number, entry in enumerate(entries)]

    def read(self, case_id):
        group, number = self.entry(case_id).group, int(case_id[1:])
        pixels = np.full((1, 4, 4), number * 9, np.uint8)
        things = np.array([[1, 1, 0, 0], [1, 0, 0, 2], [0, 0, 2, 2], [0, 0, 0, 3 + number]], np.int32)
        target = np.array([[1, 1, 0, 0], [1, 0, 0, 2], [0, 0, 2, 2], [0, 0, 0, 255]], np.uint8)
        return self.case(Case(case_id, pixels, PixelRange(), target, group=group, instances=things))


def maps_with(**parts):
    faulty = case_with(**parts)
    return type("Faulty", (Maps,), {"case": faulty.case})


def marked(name, place, value):
    """A change of one pixel of a map."""

    def change(case):
        found = getattr(case, name).copy()
        found[place] = value
        return found

    return {name: change}


def first_alone(change):
    """A change of the first image's map."""
    return lambda case: change(case) if case.id == "i0" else case.target


FAULTY_MAPS = {
    "the target of i0 is no class map": maps_with(target=1),
    "the target of i0 is no class map of uint8": maps_with(target=lambda c: c.target.astype(np.int64)),
    "the class map of i0 has another size": maps_with(target=lambda c: c.target[:3]),
    "no pixel of i0 is judged": maps_with(target=first_alone(lambda c: np.full((4, 4), 255, np.uint8))),
    "the class map of i0 holds unknown classes": maps_with(**marked("target", (0, 0), 3)),
    "the instances of i0 are no int32": maps_with(instances=lambda c: c.instances.astype(np.int64)),
    "the instances of i0 are no int32 numbers": maps_with(instances=lambda c: c.instances[:3]),
    "the instances of i0 are no int32 numbers of": maps_with(instances=lambda c: -c.instances),
    "not zero exactly where its map is background": maps_with(**marked("instances", (3, 0), 9)),
    "of i0 are not zero exactly where": maps_with(**marked("instances", (0, 0), 0)),
    "number 1 of i0 has several classes": maps_with(**marked("target", (0, 0), 2)),
    "every class map shows background alone": type(
        "Faulty",
        (maps_with(target=lambda c: np.zeros((4, 4), np.uint8), instances=None),),
        {"listed": lambda self, entries: [renamed(0, entry, target=0) for entry in entries]},
    ),
    "the entry of i0 tells classes that its map does not show": maps_with(
        target=lambda c: np.where(c.target == 2, 0, c.target), instances=None
    ),
    r"the target of i1 is \(2, 1\)": type(
        "Faulty", (Maps,), {"listed": lambda self, entries: [renamed(0, e, target=(2, 1)) for e in entries[1:]]}
    ),
    "the target of i1 is 1, with": type(
        "Faulty", (Maps,), {"listed": lambda self, entries: [renamed(0, e, target=1) for e in entries[1:]]}
    ),
    "the target of i1 is .3,., with": type(
        "Faulty", (Maps,), {"listed": lambda self, entries: [renamed(0, e, target=(3,)) for e in entries[1:]]}
    ),
    "read twice, i3 has another class map": type(
        "Faulty",
        (Maps,),
        {"case": lambda self, c: Case(**(vars(c) | {"instances": c.instances * (1 + next(COUNTER) % 7)}))},
    ),
}


def test_a_sound_set_of_class_maps_passes(tmp_path):
    check_dataset(reader(Maps), tmp_path)
    check_dataset(reader(maps_with(instances=None)), tmp_path)


@pytest.mark.parametrize("words", FAULTY_MAPS)
def test_a_faulty_set_of_class_maps_is_caught(words, tmp_path):
    with pytest.raises(AssertionError, match=words):
        check_dataset(reader(FAULTY_MAPS[words]), tmp_path)


def test_instances_outside_class_maps_and_equal_fingerprints_are_caught(tmp_path):
    with pytest.raises(AssertionError, match="i0 has instances, and its task is classify"):
        check_dataset(reader(case_with(instances=np.zeros((4, 4), np.int32))), tmp_path)

    class Alike(Maps):
        """Images of equal pixels, whose maps differ, under one fingerprint."""

        def case(self, case):
            return Case(**(vars(case) | {"pixels": np.zeros((1, 4, 4), np.uint8)}))

        def fingerprint(self, case_id):
            return "0" * 64

    with pytest.raises(AssertionError, match="i0 and i1 differ but have one fingerprint"):
        check_dataset(reader(Alike), tmp_path)


class Heat(Maps):
    """A sound set of heat maps: two cells by two of two pixels each."""

    cell = 2
    task = property(lambda _: "heatmap", lambda *_: None)
    classes = property(lambda _: ("normal", "tumour"), lambda *_: None)

    def listed(self, entries):
        return [renamed(0, entry, target=(0, 1)) for entry in entries]

    def read(self, case_id):
        parts = {"target": np.array([[0, 1], [0, 255]], np.uint8), "instances": None}
        return self.case(Case(**(vars(super().read(case_id)) | parts)))


def heat_with(**parts):
    return type("Faulty", (Heat,), {"case": case_with(**parts).case})


FAULTY_HEAT = {
    "the class map of i0 has another size": heat_with(target=np.zeros((4, 4), np.uint8)),
    "i0 has instances, and its task is heatmap": heat_with(instances=np.zeros((2, 2), np.int32)),
    "tells classes that its map does not show": heat_with(target=np.zeros((2, 2), np.uint8)),
    "cells of 2 pixels, and the task is segment": type("Faulty", (Maps,), {"cell": 2}),
    "tells two classes apart, not 3": type(
        "Faulty", (Maps,), {"task": property(lambda s: "heatmap", lambda s, v: None)}
    ),
}


def test_a_sound_set_of_heat_maps_passes(tmp_path):
    check_dataset(reader(Heat), tmp_path)


@pytest.mark.parametrize("words", FAULTY_HEAT)
def test_a_faulty_set_of_heat_maps_is_caught(words, tmp_path):
    with pytest.raises(AssertionError, match=words):
        check_dataset(reader(FAULTY_HEAT[words]), tmp_path)
