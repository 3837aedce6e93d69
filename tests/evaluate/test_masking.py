"""Signs of masked gradients in rows made by hand: each raised, and none by an honest run."""

import pandas as pd
import pytest
from test_summary import clean_table, rows_of

from percuss.evaluate.masking import suite_questions
from percuss.evaluate.summary import summarise

AT = ("linf=1/255", 1 / 255)


@pytest.fixture
def clean():
    return clean_table(n=60)


def findings(clean, **flips):
    """Findings by id of attacks that flip so many of the right images, all or from a place on."""
    right = list(clean[clean["correct"]]["id"])
    parts = [rows_of(clean, name, {AT: (set(right[where]), set(right[where]))}) for name, where in flips.items()]
    return {item.id: item for item in summarise(pd.concat(parts), clean, classes=["a", "b"]).findings}


def test_questions_that_beat_gradients(clean):
    found = findings(clean, pgd=slice(5), square=slice(5, 12))["query-beats-gradient"]
    assert found.severity == "severe" and found.evidence["images"] == 7 and found.evidence["p"] < 1e-3
    assert "query-beats-gradient" not in findings(clean, pgd=slice(5), square=slice(6))
    assert "query-beats-gradient" not in findings(clean, pgd=slice(12), apgd=slice(8, 30), square=slice(4, 30))


def test_questions_of_the_suite_are_judged_by_the_same_rule(clean):
    right = list(clean[clean["correct"]]["id"])
    part = rows_of(clean, "standard", {AT: (set(right[:12]), set(right[:12]))})
    part.attrs["queried"] = right[5:12]
    (found,) = suite_questions([part])
    assert found.id == "query-beats-gradient" and found.severity == "severe"
    assert found.evidence["flipped"] == 7 and found.evidence["images"] == len(right)
    # The very numbers of the line above, where square ran by itself: 7 of those that 5 flips by gradients leave.
    assert (
        found.evidence["p"] == findings(clean, pgd=slice(5), square=slice(5, 12))["query-beats-gradient"].evidence["p"]
    )
    for few in (right[5:6], []):
        part.attrs["queried"] = few
        assert suite_questions([part]) == []
    assert suite_questions([]) == []


def test_noise_that_beats_the_attack(clean):
    assert findings(clean, pgd=slice(5), noise=slice(5, 8))["noise-beats-attack"].severity == "severe"
    assert findings(clean, pgd=slice(5), noise=slice(4, 6))["noise-beats-attack"].severity == "warning"
    assert "noise-beats-attack" not in findings(clean, pgd=slice(5), noise=slice(3))


def test_one_step_is_compared_with_all_attacks_of_many(clean):
    assert findings(clean, pgd=slice(5), fgsm=slice(10))["single-step-beats-iterative"].severity == "severe"
    assert "single-step-beats-iterative" not in findings(clean, pgd=slice(5), curve=slice(4, 10), fgsm=slice(10))


def test_a_curve_that_stops_at_the_clean_error(clean):
    right = list(clean[clean["correct"]]["id"])
    wrong = len(clean) - len(right)
    stuck = set(right[: len(right) - wrong])
    sizes = {("linf=8/255", 8 / 255): (stuck, stuck), ("linf=16/255", 16 / 255): (stuck, stuck)}
    found = summarise(rows_of(clean, "pgd", sizes), clean, classes=["a", "b"]).findings
    assert wrong > 1 and "curve-floors" in {item.id for item in found}
    every = sizes | {("linf=32/255", 32 / 255): (set(right), set(right))}
    found = summarise(rows_of(clean, "pgd", every), clean, classes=["a", "b"]).findings
    assert "curve-floors" not in {item.id for item in found}


@pytest.mark.parametrize(("left", "severity"), [(1, "warning"), (10, "severe")])
def test_images_left_without_limit(clean, left, severity):
    right = list(clean[clean["correct"]]["id"])
    rows = rows_of(clean, "pgd", {("none", float("inf")): (set(right[left:]), set())}, norm="none")
    found = {item.id: item for item in summarise(rows, clean, classes=["a", "b"]).findings}
    assert found["unbounded-not-zero"].severity == severity
