"""Class maps: what is refused, what counts as showing nothing, and what collected images are noted for."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from percuss.core.class_maps import EMPTY, check_map, shows_nothing
from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, PixelRange, noted

MAP = np.array([[0, 1], [2, 255]], np.uint8)


@pytest.mark.parametrize(
    ("target", "numbers", "words"),
    [
        (MAP * 0 + 255, None, "no pixel of image a is judged: 255 throughout"),
        (MAP, np.array([[0, 1], [0, 0]]), "disagree where there are nuclei: 1 pixels, first row 1, column 0: class 2"),
        (MAP, np.array([[4, 1], [2, 0]]), "1 pixels, first row 0, column 0: class 0, number 4"),
        (MAP, np.array([[0, 3], [3, 0]]), "a nucleus of image a has two classes: number 3"),
        (MAP, np.array([[0, 1], [2, 0]], np.float64), "the numbers of nuclei of image a do not fit it: float64"),
    ],
)
def test_maps_that_are_refused(target, numbers, words):
    with pytest.raises(DataError, match=words) as raised:
        check_map("a", target, numbers, size=(2, 2), classes=3)
    assert raised.value.next_step


@pytest.mark.parametrize("number", [0, 1, 9])
def test_what_is_not_judged_may_have_any_number(number):
    check_map("a", MAP, np.array([[0, 1], [2, number]]), size=(2, 2), classes=3)


def test_shows_nothing():
    assert shows_nothing(np.array([[0, 255]], np.uint8)) and not shows_nothing(np.array([[0, 1]], np.uint8))
    assert not shows_nothing(0) and not shows_nothing(np.array([0, 0]))


def test_notes_are_gathered_by_image():
    first = Case("a", np.zeros((1, 2, 2), np.uint8), PixelRange(), MAP, notes=("overlapping channels",))
    second, third = replace(first, id="b", notes=()), replace(first, id="c", target=MAP * 0)
    assert noted([first, second, third]) == {"overlapping channels": ["a", "c"], EMPTY: ["c"]}

    class Held(ImageSet):
        """The three cases."""

        def read(self, case_id):
            return {"a": first, "b": second, "c": third}[case_id]

        def fingerprint(self, case_id):
            return hashlib.sha256(case_id.encode()).hexdigest()

        def subset(self, split=None, ids=None):
            return self

    held = Held("held", "segment", ("ground", "a", "b"), [Entry(name, 0) for name in "abc"])
    assert held.collect(held.ids).notes == {"overlapping channels": ["a", "c"], EMPTY: ["c"]}
    assert held.collect(["b"]).notes == {}
