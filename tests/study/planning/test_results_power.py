"""The power of the results' own analysis: each simulated verdict is the one that the results would give."""

import dataclasses

import numpy as np
import pytest

from percuss.study.planning.given_size import Size, reach, reach_text
from percuss.study.planning.needed_size import Wanted, needed
from percuss.study.planning.plan_record import needed_record, reach_record
from percuss.study.planning.plan_text import needed_text
from percuss.study.planning.results_power import enough_cases, results_power, shown
from percuss.study.planning.simulated_power import answers
from percuss.study.results.decide import Sample, decide

DRAWS = 120


def _samples(study, *, paired: bool) -> list[Sample]:
    """One study's answers as the results have them: 1 is right on the original alone, -1 on the copy alone."""
    sides = {1: (1.0, 0.0), -1: (0.0, 1.0), 0: (1.0, 1.0)}
    return [
        Sample(f"R{reader}", f"c{case}", f"c{case}", 1, *(sides[value] if paired else (float(value), None)))
        for (case, reader), value in np.ndenumerate(study)
    ]


@pytest.mark.parametrize(
    ("wanted", "cases"),
    [
        (Wanted("no_loss", 0.1, 0.1, readers=2, case_share=0.3), 68),
        (Wanted("no_loss", 0.15, 0.2, loss=0.05, readers=3), 40),
        (Wanted("no_loss", 0.3, 0.1, readers=2), 6),
        (Wanted("difference", 0.1, 0.2, readers=3, case_share=0.3), 45),
        (Wanted("undetectable", 0.65, readers=3, case_share=0.2), 40),
        (Wanted("detectable", 0.65, readers=2, reader_share=0.02), 40),
    ],
    ids=str,
)
def test_each_simulated_verdict_is_the_results_own(wanted, cases):
    model = wanted.model
    studies = answers(model, (DRAWS, cases, wanted.readers), np.random.default_rng(4))
    found = shown(model, studies)
    for study, verdict in zip(studies, found, strict=True):
        value = decide(_samples(study, paired=wanted.paired), expected=cases, alpha=model.alpha, scale="share").value
        said = value.high < model.null if model.below else value.low > model.null
        assert said == verdict, (value, study.mean())
    # Both answers occur, so that agreement says something.
    assert 0 < found.mean() < 1


def test_few_readers_have_less_power_than_planned_and_the_plan_says_what_gives_it():
    wanted = Wanted("no_loss", 0.1, 0.1, readers=3, case_share=0.3)
    plan = needed(wanted)
    assert plan.results.power < 0.75 < plan.simulated.power and plan.results_short and not plan.doubtful
    assert plan.enough > plan.cases
    assert results_power(wanted.model, plan.enough, 3, draws=20_000, seed=9).power == pytest.approx(0.8, abs=0.03)
    assert f"about {plan.enough} cases, or more readers, give it the 80.0 % asked for" in needed_text(plan)
    record = needed_record(plan)
    assert record["enough_cases"] == plan.enough and record["power"]["results"]["value"] == plan.results.power


def test_two_readers_who_share_nothing_cannot_be_outnumbered_by_cases():
    plan = needed(Wanted("no_loss", 0.1, 0.1, readers=2))
    assert plan.results_short and plan.enough is None and "add readers" in needed_text(plan)


def test_many_readers_keep_what_was_planned():
    plan = needed(Wanted("no_loss", 0.1, 0.1, readers=10, case_share=0.3))
    assert not plan.results_short and plan.enough is None
    assert "has a power of" in needed_text(plan) and "asked for" not in needed_text(plan)


def test_one_reader_or_no_simulation_has_no_such_power():
    alone, several = Wanted("no_loss", 0.1, 0.1), Wanted("no_loss", 0.1, 0.1, readers=3)
    assert needed(alone).results is None and "random" not in needed_text(needed(alone))
    assert needed(several, draws=0).results is None and "costs power" in needed_text(needed(several, draws=0))


def test_the_same_seed_gives_the_same_and_enough_is_never_less_than_the_plan():
    model = dataclasses.replace(Wanted("no_loss", 0.1, 0.1, readers=5, case_share=0.3).model)
    assert results_power(model, 46, 5, draws=300, seed=2) == results_power(model, 46, 5, draws=300, seed=2)
    assert enough_cases(model, 200, 5, power=0.8) == 200


def test_a_size_of_several_readers_says_what_the_results_leave_where_all_agree():
    same = [Sample(f"R{reader}", f"c{case}", f"c{case}", 1, 1.0, 1.0) for reader in range(3) for case in range(20)]
    left = decide(same, expected=20, alpha=0.025, scale="share").value.high
    several = reach(Size(20, readers=3))
    assert several.alike == pytest.approx(left) == reach_record(several)["loss_left"]
    assert f"take a case as one answer: {100 * left:.1f} points then" in reach_text(several)
    alone = reach(Size(20))
    assert alone.alike is None and "one answer" not in reach_text(alone)
