"""Numbers of an audit against plain loops over the rows, and those loops seen failing on planted faults."""

import math

import numpy as np
import pandas as pd
import pytest

from percuss.core.errors import RunError
from percuss.evaluate import curves, sensitivity, summary
from percuss.evaluate.summary import summarise

SIZES = (1, 2, 10)  # as text 10 comes before 2


def tables(seed=0, n=36):
    """Clean table and rows of three attacks at three sizes; raw success is random, so it rises and falls."""
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, 2, n), rng.integers(0, 2, n)
    guess[: n // 2] = truth[: n // 2]
    clean = pd.DataFrame(
        {
            "id": [f"i{i}" for i in rng.permutation(n)],
            "group": [f"p{i // 3}" for i in range(n)],
            "label": truth.astype(str),
            "prediction": guess.astype(str),
            "confidence": rng.uniform(0.5, 1, n),
            "correct": truth == guess,
            "score_0": -1.0 * guess,
            "score_1": 1.0 * guess,
        }
    )
    parts = []
    for attack, chance in (("pgd", 0.3), ("fgsm", 0.2), ("noise", 0.5)):
        for size in SIZES:
            hit = rng.random(n) < chance
            # Images that were wrong before are marked as successes too: nobody may count them.
            kept = hit & (rng.random(n) < 0.5)
            part = clean[["id", "group", "label", "correct"]].assign(
                clean_prediction=clean["prediction"], attack=attack, norm="linf", budget=f"linf={size}/255",
                eps=size / 255, success=hit, success_stored=kept, confidence=0.8, gradient_evaluations=3,
                prediction=np.where(hit, "9", clean["prediction"]),
            )  # fmt: skip
            parts.append(part.sample(frac=1, random_state=size))
    return clean, pd.concat(parts).sample(frac=1, random_state=seed)


def contract(rows, clean):
    """Every curve point and sensitivity by plain loops, beside what summarise says."""
    got = summarise(rows, clean, classes=["a", "b"])
    right = {case.id for case in clean.itertuples() if case.correct}
    found = {}
    for row in rows.itertuples():
        for name in (row.attack, *(["worst"] if row.attack != "noise" else [])):
            for size in (s for s in SIZES if s / 255 >= row.eps):
                ids, stored = found.setdefault((name, size), (set(), set()))
                ids |= {row.id} & right if row.success else set()
                stored |= {row.id} & right if row.success_stored else set()
    assert len(got.curves) == len(found)
    for point in got.curves:
        ids, stored = found[point.attack, round(point.eps * 255)]
        assert math.isclose(point.robust_accuracy.value, len(right - ids) / len(clean)), point
        assert math.isclose(point.success_rate.value, len(ids) / len(right)), point
        assert math.isclose(point.success_rate_stored.value, len(stored) / len(right)), point
        assert "clusters" in point.robust_accuracy.method or "patients" in point.robust_accuracy.method
        assert point.robust_accuracy.low <= point.robust_accuracy.value <= point.robust_accuracy.high
    for item in got.sensitivity:
        sets = [found["worst", size][item.stored] for size in SIZES]
        assert item.n_flipped == len(sets[-1]) and item.n_censored == len(right - sets[-1])
        for share, quartile in zip((0.25, 0.5, 0.75), item.quartiles, strict=True):
            enough = [size / 255 for size, ids in zip(SIZES, sets, strict=True) if len(ids) >= share * len(right)]
            assert quartile == (enough[0] if enough else None), item


@pytest.mark.parametrize("seed", range(5))
def test_honest_numbers_pass(seed):
    clean, rows = tables(seed)
    contract(rows, clean)


def test_a_run_without_any_right_image_has_no_success_rate():
    clean, rows = tables()
    clean, rows = clean.assign(correct=False), rows.assign(correct=False)
    worst = [p for p in summarise(rows, clean, classes=["a", "b"]).curves if p.attack == "worst"]
    assert {(p.robust_accuracy.value, p.success_rate.value) for p in worst} == {(0.0, None)}


def count_noise(monkeypatch):
    monkeypatch.setattr(curves, "CONTROLS", frozenset())


def count_wrong_before(monkeypatch):
    real = curves._point
    monkeypatch.setattr(curves, "_point", lambda *args, right, **more: real(*args, right=np.ones_like(right), **more))
    divide_by_all(monkeypatch)  # the success rate looks at images right before a second time


def divide_by_all(monkeypatch):
    real = curves.proportion
    monkeypatch.setattr(curves, "proportion", lambda flags, clusters, within=None: real(flags, clusters))


def forget_smaller_sizes(monkeypatch):
    real = curves._point
    raw = curves.Point.__dataclass_fields__
    monkeypatch.setattr(
        curves,
        "_point",
        lambda *args, **more: [
            curves.Point(**{f: getattr(p, "raw" if f == "flipped" else f) for f in raw}) for p in real(*args, **more)
        ],
    )


def take_order_of_rows(monkeypatch):
    real = curves._point
    monkeypatch.setattr(
        curves,
        "_point",
        lambda key, part, *rest, **more: real(key, part.assign(id=part["id"].to_numpy()[::-1]), *rest, **more),
    )


def sort_sizes_as_text(monkeypatch):
    real = pd.DataFrame.sort_values
    monkeypatch.setattr(
        pd.DataFrame, "sort_values", lambda self, by, **kw: real(self, "budget" if by == "eps" else by, **kw)
    )


def ignore_patients(monkeypatch):
    real = summary.Clusters.of
    monkeypatch.setattr(summary.Clusters, "of", lambda groups, seed: real([""] * len(groups), seed))


def float_for_stored(monkeypatch):
    real = sensitivity.smallest
    monkeypatch.setattr(sensitivity, "smallest", lambda found, ids, *, stored: real(found, ids, stored=False))


def censored_at_largest(monkeypatch):
    real = sensitivity.smallest
    monkeypatch.setattr(
        sensitivity, "smallest", lambda found, ids, *, stored: real(found, ids, stored=stored).clip(upper=10 / 255)
    )


FAULTS = (
    count_noise, count_wrong_before, divide_by_all, forget_smaller_sizes, take_order_of_rows, sort_sizes_as_text,
    ignore_patients, float_for_stored, censored_at_largest,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_seen(fault, monkeypatch):
    clean, rows = tables()
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        contract(rows, clean)


def test_missing_rows_never_count_as_robust():
    clean, rows = tables()
    with pytest.raises(
        RunError, match=r"rows are missing: .* has 35 of 36\. Allowed: one per image\. Next: give the same"
    ):
        summarise(rows.iloc[1:], clean, classes=["a", "b"])


def test_doubled_strange_and_contradicting_rows_are_refused():
    clean, rows = tables()
    with pytest.raises(RunError, match="two rows of one image: i"):
        summarise(pd.concat([rows, rows.head(1)]), clean, classes=["a", "b"])
    with pytest.raises(RunError, match="two clean rows of one image: i"):
        summarise(rows, pd.concat([clean, clean.head(1)]), classes=["a", "b"])
    with pytest.raises(RunError, match="rows of images without a clean row: i"):
        summarise(rows, clean.iloc[1:], classes=["a", "b"])
    with pytest.raises(RunError, match="rows and clean table disagree: correct of i"):
        summarise(rows.assign(correct=True), clean, classes=["a", "b"])
    with pytest.raises(RunError, match="rows and clean table disagree: label of i"):
        summarise(rows.assign(label="1"), clean, classes=["a", "b"])
