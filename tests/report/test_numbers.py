"""How numbers are printed."""

from __future__ import annotations

import pytest
from fake_parts import wilson

from percuss.core.results import DataRecord, Interval
from percuss.report.numbers import absolute_text, class_text, counted, counted_share, decimal, percent, share

DATA = DataRecord(
    spec="x",
    split=None,
    task="classify",
    classes=["normal", "tumour"],
    n_images=1,
    n_groups=None,
    n_bad=0,
    bad=[],
    shape=[3, 8, 8],
    unit="grey level",
    levels=255,
    sha256="",
)
EMPTY = Interval(value=None, low=None, high=None, n=0, method="")


def flat(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_count_with_its_interval() -> None:
    assert flat(counted_share(wilson(93, 96))) == "93 of 96; 96.9 % [91.2, 98.9]"
    assert flat(share(wilson(3, 7))) == "43 % [16, 75]"
    assert flat(counted(wilson(12000, 13000))) == "12 000 of 13 000"


def test_undefined_is_said() -> None:
    assert counted_share(EMPTY) == decimal(EMPTY) == percent(None) == "not defined"


@pytest.mark.parametrize(
    ("norm", "eps", "text"),
    [
        ("linf", 1 / 255, "one grey level"),
        ("linf", 0.5 / 255, "0.5 grey levels"),
        ("l0", 0.05, "5 % of the pixels"),
        ("l2", 25.0, "length 25"),
        ("none", None, "any size"),
    ],
)
def test_sizes_in_visible_terms(norm: str, eps: float | None, text: str) -> None:
    assert flat(absolute_text(norm, eps, DATA)) == text


def test_native_units_are_kept() -> None:
    scan = DATA.model_copy(update={"unit": "HU", "levels": 1500})
    assert flat(absolute_text("linf", 10 / 1500, scan)) == "10 HU"


def test_labels_in_class_names() -> None:
    many = DATA.model_copy(update={"task": "multilabel", "classes": ["a", "b", "c"]})
    assert class_text("1", DATA) == "tumour"
    assert class_text("101", many) == "a, c"
    assert class_text("000", many) == "none of the labels"
