"""Sizes of a reader study against published figures, closed forms and simulation."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from percuss.core.errors import UsageError
from percuss.study.planning.needed_size import Wanted, effective, expected_power, needed
from percuss.study.planning.plan_text import needed_text
from percuss.study.planning.simulated_power import Simulated


def test_wald_sizes_are_the_known_closed_form():
    # (1.96 + 0.8416)^2 discordance / margin^2
    sizes = [
        needed(Wanted("no_loss", margin, share, test="wald"), draws=0).cases
        for margin in (0.05, 0.10, 0.15)
        for share in (0.05, 0.1, 0.2, 0.3)
    ]
    assert sizes == [157, 314, 628, 942, 40, 79, 157, 236, 18, 35, 70, 105]


def test_the_score_test_needs_more_where_answers_seldom_differ():
    few, wald = (needed(Wanted("no_loss", 0.1, 0.05, test=test), draws=0).cases for test in ("score", "wald"))
    assert (few, wald) == (74, 40)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("no_loss", 0.10, 0.20),
        Wanted("no_loss", 0.05, 0.10, test="wald"),
        Wanted("no_loss", 0.15, 0.30, loss=0.03, alpha=0.05),
        Wanted("difference", 0.10, 0.20),
        Wanted("difference", 0.05, 0.10, power=0.9),
        Wanted("undetectable", 0.65, alpha=0.05),
        Wanted("detectable", 0.60),
        Wanted("no_loss", 0.10, 0.20, readers=3, case_share=0.3),
        Wanted("difference", 0.10, 0.20, readers=4, case_share=0.5),
        Wanted("detectable", 0.60, readers=4, case_share=0.2),
        Wanted("no_loss", 0.10, 0.20, readers=6, case_share=0.2, reader_share=0.01),
        Wanted("difference", 0.10, 0.20, readers=8, case_share=0.2, reader_share=0.01),
        Wanted("undetectable", 0.60, readers=30, case_share=0.1, reader_share=0.001),
    ],
    ids=str,
)
def test_simulation_agrees_with_the_formula(wanted):
    plan = needed(wanted, draws=8000, seed=3)
    # Two points beside the simulation's error: the formulas for pairs are normal approximations.
    assert plan.simulated.power == pytest.approx(plan.expected, abs=0.02 + 3 * plan.simulated.error)
    assert not plan.doubtful


def test_one_reader_of_choices_is_simulated_to_the_exact_power():
    plan = needed(Wanted("undetectable", 0.7, alpha=0.05), draws=200_000, seed=1)
    assert plan.simulated.power == pytest.approx(plan.expected, abs=4 * plan.simulated.error)


def test_a_size_that_falls_short_in_simulation_is_called_doubtful():
    plan = needed(Wanted("no_loss", 0.1, 0.2), draws=0)
    assert not plan.doubtful and "falls short" not in needed_text(plan)
    plan = dataclasses.replace(plan, simulated=Simulated(0.75, 0.006, 4000))
    assert plan.doubtful and "falls short" in needed_text(plan)


def test_the_same_seed_gives_the_same_plan():
    wanted = Wanted("no_loss", 0.1, 0.2, readers=3, case_share=0.3)
    assert needed(wanted, draws=500, seed=5) == needed(wanted, draws=500, seed=5)


def test_readers_who_always_agree_add_nothing_and_strangers_share_the_work():
    alone = needed(Wanted("no_loss", 0.1, 0.2), draws=0).cases
    near = dataclasses.replace(Wanted("no_loss", 0.1, 0.2, readers=4), case_share=0.9999)
    assert alone - 1 <= needed(near, draws=0).cases <= alone
    assert needed(dataclasses.replace(near, case_share=0.0), draws=0).cases == -(-alone // 4)


def test_minutes_and_copies():
    plan = needed(Wanted("no_loss", 0.1, 0.2, copies=2, seconds=6), draws=0)
    assert (plan.cases, plan.trials, plan.minutes) == (171, 684, pytest.approx(68.4))
    assert needed(Wanted("detectable", 0.75), draws=0).trials == needed(Wanted("detectable", 0.75), draws=0).cases


shares = st.floats(0.02, 0.98)


@given(st.floats(0.02, 0.4), st.floats(0.02, 0.4), shares, st.floats(0.55, 0.95))
@settings(max_examples=60, deadline=None)
def test_a_larger_margin_or_less_power_never_needs_more(first, second, discordance, power):
    small, large = sorted((first, second))
    strict, loose = (needed(Wanted("no_loss", m, discordance, power=power), draws=0).cases for m in (small, large))
    assert loose <= strict
    assert needed(Wanted("no_loss", small, discordance, power=power / 1.1), draws=0).cases <= strict


@given(st.floats(0.03, 0.3), st.floats(0.35, 0.9), st.integers(2, 9), st.floats(0, 0.9))
@settings(max_examples=60, deadline=None)
def test_the_size_has_its_power_and_agreement_costs_cases(effect, discordance, readers, agreement):
    wanted = Wanted("difference", effect, discordance, readers=readers, case_share=agreement)
    plan = needed(wanted, draws=0)
    assert plan.expected >= wanted.power - 1e-9
    if plan.cases > 3:
        # Independent answers are rounded up before readers share them, and cases after: two roundings.
        assert expected_power(wanted, plan.cases - 2) < wanted.power + 1e-9
    assert effective(wanted, plan.cases) <= plan.cases * readers + 1e-9
    assert plan.cases >= needed(dataclasses.replace(wanted, case_share=0.0), draws=0).cases


@given(st.floats(0.08, 0.3), st.floats(0.32, 0.9), st.integers(8, 30), st.floats(0, 0.5), st.floats(1e-5, 2e-3))
@settings(max_examples=40, deadline=None)
def test_random_readers_need_the_least_number_with_the_power(effect, discordance, readers, agreement, share):
    wanted = Wanted("difference", effect, discordance, readers=readers, case_share=agreement, reader_share=share)
    cases = needed(wanted, draws=0).cases
    assert expected_power(wanted, cases) >= wanted.power
    assert cases == 2 or expected_power(wanted, cases - 1) < wanted.power
    fixed = needed(dataclasses.replace(wanted, reader_share=0.0), draws=0).cases
    assert cases >= fixed - 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"question": "loss"}, "no_loss"),
        ({"effect": 0.0}, "5 points are 0.05"),
        ({"effect": 10.0}, "5 points are 0.05"),
        ({"effect": float("nan")}, "5 points are 0.05"),
        ({"discordance": None}, "discordance is missing"),
        ({"discordance": 1.5}, "discordance is missing"),
        ({"loss": 0.1}, "below 0.1"),
        ({"loss": -0.3}, "larger than the discordance"),
        ({"question": "difference", "effect": 0.3}, "larger than the discordance"),
        ({"question": "difference", "loss": 0.05}, "is the effect"),
        ({"question": "detectable", "effect": 0.4, "discordance": None}, "above 0.5"),
        ({"question": "detectable", "effect": 0.7}, "no pairs"),
        ({"alpha": 0.5}, "alpha"),
        ({"power": 0.01}, "power"),
        ({"readers": 0}, "readers"),
        ({"copies": 1.5}, "copies"),
        ({"readers": 2, "case_share": 1.0}, "share of case"),
        ({"readers": 2, "case_share": 0.6, "reader_share": 0.6}, "more than 1"),
        ({"case_share": 0.1}, "2 readers"),
        ({"seconds": 0.0}, "time of a trial"),
        ({"test": "sign"}, "score, or wald"),
    ],
)
def test_what_has_no_meaning_is_refused(change, named):
    with pytest.raises(UsageError, match=named):
        Wanted(**({"question": "no_loss", "effect": 0.1, "discordance": 0.2} | change))


def test_too_few_readers_are_refused_with_the_number_that_may_do():
    wanted = Wanted("no_loss", 0.1, 0.2, readers=3, reader_share=0.05)
    with pytest.raises(UsageError, match="11 readers or more"):
        needed(wanted)
    assert needed(dataclasses.replace(wanted, readers=11), draws=0).cases > 100


def test_a_study_of_ten_million_cases_is_refused():
    with pytest.raises(UsageError, match="too many cases"):
        needed(Wanted("no_loss", 0.0001, 0.9), draws=0)


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        (Wanted("no_loss", 0.1, 0.2), "lose less than 10.0 points on perturbed copies, if they truly lose 0.0 points"),
        (Wanted("difference", 0.1, 0.2), "find a true loss of 10.0 points"),
        (Wanted("undetectable", 0.65), "less than a share right of 65.0 % (d' 0.54)"),
        (Wanted("detectable", 0.75, readers=2), "if truly with a share right of 75.0 % (d' 0.95)"),
    ],
    ids=str,
)
def test_sentences_for_a_protocol(wanted, part):
    text = needed_text(needed(wanted, draws=200))
    assert part in text and "200 studies drawn" in text
    assert ("not for readers at large" in text) == (wanted.readers > 1)
