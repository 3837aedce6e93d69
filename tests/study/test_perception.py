"""Readers made of known numbers: the statistics of a study find the numbers again, within their intervals."""

from __future__ import annotations

import pytest

from percuss.core.errors import UsageError
from percuss.core.results import Interval
from percuss.study.answers import Choice, Diagnosis, Manipulation, Same
from percuss.study.statistics.agreement import agreement
from percuss.study.statistics.detection import same_different, two_alternatives, yes_no
from percuss.study.statistics.psychometric import Answers, psychometric
from percuss.testing.perception import Perception, Sight, weibull_dprimes

CASES = [str(number) for number in range(600)]
LABELS = ("normal", "tumour")
#: Means of 600 normal or binomial draws lie within three standard errors but once in 370.
SEEDS = range(3)


def within(interval: Interval, value: float) -> bool:
    """Whether the interval, widened to three standard errors of what was a 95 % one, holds the value."""
    assert interval.value is not None and interval.low is not None and interval.high is not None
    return (
        interval.value - 1.53 * (interval.value - interval.low)
        <= value
        <= interval.value + 1.53 * (interval.high - interval.value)
    )


def chosen(reader: Perception, arm: str) -> int:
    """Right choices over all cases, the changed image on either side in turn."""
    right = 0
    for number, case in enumerate(CASES):
        side = ("left", "right")[number % 2]
        answer = reader.answer(Sight("choice", case, arm, side=side), ())
        assert isinstance(answer, Choice)
        right += answer.side == side
    return right


@pytest.mark.parametrize("seed", SEEDS)
def test_choices_have_the_readers_dprime(seed: int) -> None:
    reader = Perception(dprime={"adversarial linf=2/255": 1.5}, seed=seed)
    share, dprime = two_alternatives(chosen(reader, "adversarial linf=2/255"), len(CASES))
    assert within(dprime, 1.5) and within(share, reader.chance_right("adversarial linf=2/255"))
    _, unseen = two_alternatives(chosen(reader, "noise linf=2/255"), len(CASES))
    assert within(unseen, 0.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_lapses_and_a_favoured_side_lower_the_share_right(seed: int) -> None:
    plain = Perception(dprime={"visible linf=1": 3.0}, seed=seed)
    worse = Perception(dprime={"visible linf=1": 3.0}, lapse=0.2, left=1.5, seed=seed)
    share, _ = two_alternatives(chosen(worse, "visible linf=1"), len(CASES))
    assert within(share, worse.chance_right("visible linf=1"))
    assert not within(share, plain.chance_right("visible linf=1"))


@pytest.mark.parametrize("seed", SEEDS)
def test_same_or_different_has_the_readers_dprime(seed: int) -> None:
    reader = Perception(dprime={"adversarial linf=2/255": 2.0}, criterion=1.6, seed=seed)

    def different(arm: str) -> int:
        answers = [reader.answer(Sight("same", case, arm), ()) for case in CASES]
        return sum(not answer.same for answer in answers if isinstance(answer, Same))

    n = len(CASES)
    found = same_different(different("adversarial linf=2/255"), n, alarms=different("identical"), same=n)
    assert within(found, 2.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_ratings_have_the_readers_dprime_and_cut(seed: int) -> None:
    reader = Perception(dprime={"adversarial linf=2/255": 1.0}, cuts=(-1.0, 0.0, 0.8, 2.0), seed=seed)

    def changed(arm: str) -> int:
        answers = [reader.answer(Sight("manipulation", case, arm), ()) for case in CASES]
        return sum(answer.rating >= 4 for answer in answers if isinstance(answer, Manipulation))

    n = len(CASES)
    found = yes_no(changed("adversarial linf=2/255"), n, alarms=changed("original"), unchanged=n)
    # The criterion c is counted from half way between both kinds: 0.8 - 1.0 / 2.
    assert within(found.dprime, 1.0) and within(found.criterion, 0.3)
    two = two_alternatives(changed("adversarial linf=2/255"), n)[0]
    assert within(two, reader.chance_rated("adversarial linf=2/255", 4))


@pytest.mark.parametrize("seed", SEEDS)
def test_two_copies_agree_as_often_as_the_reader_repeats(seed: int) -> None:
    right = {"original": {"tumour": 0.5, "normal": 0.5}}
    reader = Perception(right=right, repeat=0.6, seed=seed)
    copies = []
    for copy in (1, 2):
        answers = [reader.answer(Sight("diagnosis", case, "original", "tumour", copy=copy), LABELS) for case in CASES]
        copies.append([answer.label for answer in answers if isinstance(answer, Diagnosis)])
    found = agreement(copies[0], copies[1], LABELS)
    # At one half each, kappa and AC1 are both the share of repeats.
    assert within(found.kappa, 0.6) and within(found.ac1, 0.6) and within(found.raw, 0.8)


@pytest.mark.parametrize("seed", SEEDS)
def test_sensitivity_and_specificity_belong_to_the_arm(seed: int) -> None:
    right = {
        "original": {"tumour": 0.95, "normal": 0.9},
        "adversarial linf=2/255": {"tumour": 0.6, "normal": 0.8},
    }
    reader = Perception(right=right, seed=seed)
    for arm, truths in right.items():
        for truth, share in truths.items():
            answers = [reader.answer(Sight("diagnosis", case, arm, truth), LABELS) for case in CASES]
            hits = sum(answer.label == truth for answer in answers if isinstance(answer, Diagnosis))
            assert within(two_alternatives(hits, len(CASES))[0], share)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_curve_over_eps_has_the_readers_threshold(seed: int) -> None:
    sizes = {f"adversarial linf={eps}/255": float(eps) for eps in (1, 2, 4, 8, 16)}
    dprimes = weibull_dprimes(sizes, threshold=4.0, slope=2.0)
    reader = Perception(dprime=dprimes, lapse=0.04, seed=seed)
    assert reader.chance_right("adversarial linf=4/255") == pytest.approx(0.96 * 0.75 + 0.02)
    right = tuple(chosen(reader, arm) for arm in sizes)
    n = len(CASES)
    # Lapses of 4 % are right half of the time: the curve ends at 0.98, and meets 74 % where it would meet 75 % without.
    curve = psychometric(Answers(tuple(sizes.values()), right, (n,) * 5), target=0.74)
    assert curve.status == "found" and within(curve.threshold, 4.0)
    assert reader.chance_right("adversarial linf=4/255") == pytest.approx(0.74)


def test_answers_depend_on_nothing_but_the_trial() -> None:
    reader = Perception(dprime={"a": 1.0}, right={"a": {"tumour": 0.7}}, seed=5)
    sights = [Sight("diagnosis", case, "a", "tumour") for case in CASES[:50]]
    forwards = [reader.answer(sight, LABELS) for sight in sights]
    assert forwards == [reader.answer(sight, LABELS) for sight in reversed(sights)][::-1]
    other = Perception(dprime={"a": 1.0}, right={"a": {"tumour": 0.7}}, seed=6)
    assert forwards != [other.answer(sight, LABELS) for sight in sights]


@pytest.mark.parametrize(
    "wrong", [{"repeat": 1.1}, {"lapse": 1.0}, {"cuts": (0.0, 1.0)}, {"cuts": (0.0, 3.0, 1.0, 2.0)}, {"criterion": 0.0}]
)
def test_numbers_that_make_no_reader_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Perception(**wrong)


def test_a_diagnosis_needs_its_probability() -> None:
    with pytest.raises(UsageError, match="noise linf=2/255, tumour"):
        Perception().answer(Sight("diagnosis", "1", "noise linf=2/255", "tumour"), LABELS)
    with pytest.raises(UsageError, match="no curve"):
        weibull_dprimes({"a": 1.0}, threshold=0.0, slope=1.0)
