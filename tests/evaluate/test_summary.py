"""Numbers of an audit from rows made by hand, against brute force and scikit-learn."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from percuss.core.errors import RunError
from percuss.core.outcome import COLUMNS
from percuss.evaluate.summary import summarise


def clean_table(n=40, classes=2, seed=0, groups=False):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % classes
    scores = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[truth]
    guess = scores.argmax(1)
    chance = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    table = {
        "id": [f"i{i}" for i in range(n)],
        "group": [f"p{i // 4}" if groups else "" for i in range(n)],
        "label": truth.astype(str),
        "prediction": guess.astype(str),
        "confidence": chance.max(1),
        "correct": guess == truth,
    }
    return pd.DataFrame(table | {f"score_{i}": scores[:, i] for i in range(classes)})


def rows_of(clean, attack, flips, norm="linf"):
    """Rows from {(budget, eps): (ids flipped as float, ids flipped as stored)}."""
    found = []
    for (budget, eps), (flipped, stored) in flips.items():
        for row in clean.itertuples():
            hit = row.id in flipped
            found.append(
                {
                    "id": row.id,
                    "group": row.group,
                    "label": row.label,
                    "clean_prediction": row.prediction,
                    "clean_confidence": row.confidence,
                    "correct": row.correct,
                    "attack": attack,
                    "norm": norm,
                    "budget": budget,
                    "eps": eps,
                    "success": hit,
                    "success_stored": row.id in stored,
                    "linf": eps,
                    "l2": 1.0,
                    "l1": 1.0,
                    "l0": 1.0,
                    "confidence": 0.8,
                    "prediction": "9" if hit else row.prediction,
                    "margin": 0.1,
                    "gradient_evaluations": 10,
                    "model_evaluations": 11,
                    "carried": False,
                    "image": "",
                    "image_sha256": "",
                }
            )
    return pd.DataFrame(found, columns=list(COLUMNS))


def point(summary, attack, budget):
    return next(p for p in summary.curves if (p.attack, p.budget) == (attack, budget))


@pytest.fixture
def clean():
    return clean_table()


def test_clean_numbers_equal_scikit_learn():
    for classes in (2, 4):
        table = clean_table(classes=classes)
        rows = rows_of(table, "pgd", {("linf=1/255", 1 / 255): (set(), set())})
        got = summarise(rows, table, classes=[str(i) for i in range(classes)]).clean
        truth, guess = table["label"].astype(int), table["prediction"].astype(int)
        scores = table[[f"score_{i}" for i in range(classes)]].to_numpy()
        chance = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        auc = roc_auc_score(truth, chance[:, 1]) if classes == 2 else roc_auc_score(truth, chance, multi_class="ovr")
        assert got.accuracy.value == pytest.approx((truth == guess).mean())
        assert got.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truth, guess))
        assert got.auc.value == pytest.approx(auc) and got.auc.low < auc < got.auc.high
        assert got.confusion == confusion_matrix(truth, guess).tolist()


def test_a_class_without_images_leaves_auc_undefined(clean):
    one = clean[clean["label"] == "0"].reset_index(drop=True)
    rows = rows_of(one, "pgd", {("linf=1/255", 1 / 255): (set(), set())})
    got = summarise(rows, one, classes=["a", "b"]).clean
    assert got.auc.value is None and got.balanced_accuracy.value is None
    assert got.per_class["b"].value is None and got.per_class["b"].n == 0


def test_robust_accuracy_counts_all_and_success_only_the_right(clean):
    right = list(clean[clean["correct"]]["id"])
    wrong = list(clean[~clean["correct"]]["id"])
    flips = {("linf=1/255", 1 / 255): (set(right[:5] + wrong), set(right[:2]))}
    got = point(summarise(rows_of(clean, "pgd", flips), clean, classes=["a", "b"]), "pgd", "linf=1/255")
    assert got.robust_accuracy.value == pytest.approx((len(right) - 5) / len(clean))
    assert got.success_rate.value == pytest.approx(5 / len(right)) and got.success_rate.n == len(right)
    assert got.success_rate_stored.value == pytest.approx(2 / len(right))
    assert got.robust_accuracy.value <= clean["correct"].mean()


def test_curves_never_rise_and_the_lost_flips_are_a_finding(clean):
    right = list(clean[clean["correct"]]["id"])
    flips = {("linf=1/255", 1 / 255): (set(right[:9]), set()), ("linf=2/255", 2 / 255): (set(right[9:12]), set())}
    got = summarise(rows_of(clean, "pgd", flips), clean, classes=["a", "b"])
    assert point(got, "pgd", "linf=2/255").success_rate.value == pytest.approx(12 / len(right))
    assert "curve-not-falling" in {f.id for f in got.findings}


def test_worst_is_the_union_without_the_noise_control(clean):
    right = list(clean[clean["correct"]]["id"])
    at = ("linf=1/255", 1 / 255)
    rows = pd.concat(
        [
            rows_of(clean, "pgd", {at: (set(right[:3]), set())}),
            rows_of(clean, "fgsm", {at: (set(right[2:5]), set())}),
            rows_of(clean, "noise", {at: (set(right[5:]), set())}),
        ]
    )
    got = summarise(rows, clean, classes=["a", "b"])
    assert point(got, "worst", "linf=1/255").success_rate.value == pytest.approx(5 / len(right))
    assert {"noise-flips", "single-step-beats-iterative"} <= {f.id for f in got.findings}


def test_sensitivity_is_censored_above_the_largest_size(clean):
    right = list(clean[clean["correct"]]["id"])
    half = len(right) // 2 + 1
    flips = {("linf=1/255", 1 / 255): (set(right[:half]), set()), ("linf=2/255", 2 / 255): (set(right[:half]), set())}
    got = {
        (s.norm, s.stored): s for s in summarise(rows_of(clean, "pgd", flips), clean, classes=["a", "b"]).sensitivity
    }
    found = got["linf", False]
    assert (found.n_flipped, found.n_censored) == (half, len(right) - half)
    assert found.quartiles == (1 / 255, 1 / 255, None) and found.largest_tried == 2 / 255
    assert got["linf", True].n_flipped == 0


def test_the_norm_none_has_no_size(clean):
    right = set(clean[clean["correct"]]["id"])
    rows = rows_of(clean, "pgd", {("none", math.inf): (right, right)}, norm="none")
    got = summarise(rows, clean, classes=["a", "b"])
    assert point(got, "worst", "none").eps is None and got.sensitivity == []
    left = rows_of(clean, "pgd", {("none", math.inf): (set(), set())}, norm="none")
    assert "unbounded-not-zero" in {f.id for f in summarise(left, clean, classes=["a", "b"]).findings}


def test_findings_of_extremes(clean):
    right = set(clean[clean["correct"]]["id"])
    at = ("linf=1/255", 1 / 255)
    every = summarise(rows_of(clean, "pgd", {at: (right, set())}), clean, classes=["a", "b"])
    assert {"all-flip-at-smallest", "float-only"} <= {f.id for f in every.findings}
    none = summarise(rows_of(clean, "pgd", {at: (set(), set())}), clean, classes=["a", "b"])
    assert "none-flip" in {f.id for f in none.findings}
    few = clean.head(10)
    assert "few-images" in {
        f.id for f in summarise(rows_of(few, "pgd", {at: (set(), set())}), few, classes=["a", "b"]).findings
    }


def test_few_patients_and_guessing():
    table = clean_table(groups=True).head(32)
    table["prediction"], table["correct"] = "0", table["label"] == "0"
    rows = rows_of(table, "pgd", {("linf=1/255", 1 / 255): (set(), set())})
    assert {"few-patients", "clean-accuracy-low"} <= {f.id for f in summarise(rows, table, classes=["a", "b"]).findings}


def test_one_image_and_one_class_are_said_as_they_are():
    table = clean_table(groups=False)
    alike = table[table["label"] == "0"]
    found = {f.id: f for f in summarise(_none(alike), alike, classes=["a", "b"]).findings}
    assert found["one-class"].evidence == {"label": "0", "images": len(alike)} and "clean-accuracy-low" not in found
    single = table.head(1)
    texts = [f.message for f in summarise(_none(single), single, classes=["a", "b"]).findings]
    assert "Only 1 image: every interval is wide." in texts


def _none(table):
    return rows_of(table, "pgd", {("linf=1/255", 1 / 255): (set(), set())})


def test_an_honest_run_raises_no_alarm(clean):
    right = list(clean[clean["correct"]]["id"])
    ids = {("linf=1/255", 1 / 255): (set(right[:5]), set(right[:5])), ("linf=2/255", 2 / 255): (set(right), set(right))}
    got = summarise(rows_of(clean, "pgd", ids), clean, classes=["a", "b"])
    assert [f.id for f in got.findings] == []


def test_multilabel_needs_every_label():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (40, 3))
    scores = rng.normal(size=(40, 3)) + 3 * (2 * truth - 1)
    guess = (scores > 0).astype(int)
    text = ["".join(map(str, row)) for row in truth]
    table = pd.DataFrame(
        {
            "id": [f"i{i}" for i in range(40)],
            "group": "",
            "label": text,
            "prediction": ["".join(map(str, row)) for row in guess],
            "confidence": 0.9,
            "correct": (guess == truth).all(1),
        }
        | {f"score_{i}": scores[:, i] for i in range(3)}
    )
    rows = rows_of(table, "pgd", {("linf=1/255", 1 / 255): (set(), set())})
    got = summarise(rows, table, classes=["a", "b", "c"], task="multilabel").clean
    assert got.confusion is None
    assert got.auc.value == pytest.approx(roc_auc_score(truth, scores))
    assert got.per_class["a"].value == pytest.approx((guess[:, 0] == truth[:, 0]).mean())


def test_no_clean_image_is_an_error(clean):
    with pytest.raises(RunError, match="no image that could be read"):
        summarise(pd.DataFrame(columns=list(COLUMNS)), clean.head(0), classes=["a", "b"])


def test_findings_come_once_per_attack_and_norm(clean):
    right = list(clean[clean["correct"]]["id"])
    flips = {(f"linf={k}/255", k / 255): (set(right[: 9 + k]), set()) for k in range(1, 9)}
    rows = pd.concat([rows_of(clean, "noise", flips), rows_of(clean, "pgd", flips)])
    ids = [f.id for f in summarise(rows, clean, classes=["a", "b"]).findings]
    assert sorted(ids) == sorted(set(ids))
    noise = next(f for f in summarise(rows, clean, classes=["a", "b"]).findings if f.id == "noise-flips")
    assert noise.evidence["budget"] == "linf=1/255"


def test_noise_alone_gives_no_worst_case(clean):
    rows = rows_of(clean, "noise", {("linf=1/255", 1 / 255): (set(), set())})
    got = summarise(rows, clean, classes=["a", "b"])
    assert {p.attack for p in got.curves} == {"noise"} and got.sensitivity == []
    assert [(f.id, f.severity) for f in got.findings] == [("only-controls", "severe")]


def test_unknown_patients_among_known_ones_count_on_their_own_and_are_named():
    table = clean_table(groups=True)
    table.loc[:3, "group"] = ""
    got = summarise(rows_of(table, "pgd", {("linf=1/255", 1 / 255): (set(), set())}), table, classes=["a", "b"])
    assert "13 clusters (4 images of unknown patient each their own)" in got.clean.accuracy.method
    assert "patients-partly-known" in {f.id for f in got.findings}


@pytest.mark.parametrize("groups", [False, True])
def test_a_perfect_model_is_not_certain(groups):
    table = clean_table(groups=groups)
    truth = table["label"].astype(int)
    table["prediction"], table["correct"] = table["label"], True
    table["score_0"], table["score_1"] = 1.0 - truth, truth * 1.0
    got = summarise(rows_of(table, "pgd", {("linf=1/255", 1 / 255): (set(), set())}), table, classes=["a", "b"]).clean
    for number in (got.accuracy, got.balanced_accuracy, got.auc):
        assert number.value == 1 and number.high == 1 and 0.6 < number.low < 0.95, number


def test_the_size_not_the_text_of_a_budget_gives_the_order(clean):
    right = list(clean[clean["correct"]]["id"])
    flips = {("linf=10/255", 10 / 255): (set(right[:9]), set()), ("linf=2/255", 2 / 255): (set(right[:1]), set())}
    got = summarise(rows_of(clean, "pgd", flips), clean, classes=["a", "b"])
    assert [p.budget for p in got.curves if p.attack == "worst"] == ["linf=2/255", "linf=10/255"]
    assert point(got, "worst", "linf=2/255").success_rate.value == pytest.approx(1 / len(right))
