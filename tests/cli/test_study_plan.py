"""percuss study plan: the figures that a planner of reader studies must give, and what it refuses."""

import json

import pytest
from tests.study.small_study import make

from percuss.study.design.protocol import save


@pytest.fixture
def plan(percuss):
    def run(*arguments):
        done = percuss("study", "plan", *arguments, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_twenty_pairs_cannot_show_that_nothing_is_lost(percuss, plan):
    size = plan("--cases", 20, "--copies", 2)["size"]
    assert (size["trials"], size["minutes"], size["independent"]) == (80, pytest.approx(80 / 6), 20)
    none, helped = size["shown"]
    assert (none["harmful"], none["helpful"], helped["harmful"], helped["helpful"]) == (0, 0, 0, 1)
    assert none["score_two_sided"] == pytest.approx(0.161, abs=5e-4)
    assert helped["score_two_sided"] == pytest.approx(0.119, abs=5e-4)
    text = percuss("study", "plan", "--cases", 20, "--copies", 2).stdout
    assert "no harmful flip" in text and "12 to 16 points" in text and "80 trials, about 13 minutes" in text
    assert "not counted as further cases" in text and "find no loss, however" in text


@pytest.mark.parametrize(("cases", "flips", "half"), [(60, 3, 0.096), (100, 5, 0.070), (200, 10, 0.047)])
def test_the_width_left_by_a_tenth_of_discordant_pairs(plan, cases, flips, half):
    (shown,) = plan("--cases", cases, "--harmful", flips, "--helpful", flips)["size"]["shown"]
    assert shown["score_two_sided"] == pytest.approx(half, abs=6e-4)


@pytest.mark.parametrize(
    ("margin", "sizes"), [(0.05, (157, 314, 628, 942)), (0.10, (40, 79, 157, 236)), (0.15, (18, 35, 70, 105))]
)
def test_cases_by_margin_and_discordance(plan, margin, sizes):
    options = ("--margin", margin, "--test", "wald", "--draws", 0, "--discordance")
    assert tuple(plan(*options, share)["needed"]["cases"] for share in (0.05, 0.1, 0.2, 0.3)) == sizes


@pytest.mark.parametrize(("limit", "d_prime", "first"), [(0.75, 0.95, 26), (0.70, 0.74, 39), (0.65, 0.54, 68)])
def test_forced_choices_that_show_undetectable(plan, limit, d_prime, first):
    options = ("--undetectable", limit, "--alpha", 0.05, "--draws", 0, "--cases")
    needed = plan(*options, first)["needed"]
    assert needed["wanted"]["d_prime"] == pytest.approx(d_prime, abs=5e-3)
    assert needed["power"]["formula"] >= 0.8 > plan(*options, first - 1)["needed"]["power"]["formula"]
    assert needed["trials"] == first and plan(*options, first)["size"] is None


def test_d_prime_is_the_same_as_its_share(plan):
    by_share = plan("--detectable", 0.7, "--draws", 0)["needed"]
    by_d_prime = plan("--detectable", by_share["wanted"]["d_prime"], "--d-prime", "--draws", 0)["needed"]
    assert by_d_prime["cases"] == by_share["cases"]


def test_formula_and_simulation_stand_side_by_side(percuss, plan):
    options = ("--margin", 0.1, "--discordance", 0.2, "--readers", 3, "--case-share", 0.3, "--draws", 2000)
    power = plan(*options)["needed"]["power"]
    assert power["simulation"]["low"] < power["simulation"]["value"] < power["simulation"]["high"]
    assert power["simulation"]["draws"] == 2000
    assert power["formula"] == pytest.approx(power["simulation"]["value"], abs=0.05)
    text = percuss("study", "plan", *options).stdout
    assert "% by formula, " in text and "% by simulation (95 % interval " in text
    assert plan(*options[:4], "--draws", 0)["needed"]["power"]["simulation"] is None


def test_a_question_and_a_size_give_the_power_of_that_size(percuss, plan):
    options = ("--effect", 0.1, "--discordance", 0.2, "--cases", 60, "--draws", 500)
    both = plan(*options)
    assert both["needed"]["cases"] == both["size"]["cases"] == 60
    assert both["needed"]["power"]["formula"] < 0.5 and both["needed"]["doubtful"]
    assert "falls short" in percuss("study", "plan", *options).stdout


def test_readers_who_agree_are_worth_less_than_their_number(plan):
    size = plan("--cases", 60, "--readers", 3, "--case-share", 0.3)["size"]
    assert size["independent"] == 112 == size["shown"][0]["pairs"]


def test_seconds_make_minutes(plan):
    slow, quick = (plan("--cases", 50, "--seconds", seconds)["size"]["minutes"] for seconds in (30, 6))
    assert (slow, quick) == (50.0, 10.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "nothing is asked"),
        (("--margin", 0.1, "--effect", 0.1), "one question"),
        (("--margin", 0.1), "discordance is missing"),
        (("--margin", 5, "--discordance", 0.2), "5 points are 0.05"),
        (("--margin", 0.1, "--discordance", 0.2, "--d-prime"), "--undetectable or --detectable"),
        (("--margin", 0.1, "--discordance", 0.2, "--harmful", 1), "give --cases"),
        (("--cases", 20, "--readers", 2, "--harmful", 1), "no --readers"),
        (("--cases", 0), "number of cases"),
        (("--cases", 20, "--case-share", 0.2), "0 with one reader"),
        (("--cases", 20, "--discordance", 0), "out of range"),
        (("--cases", 20, "--seconds", 0), "seconds above 0"),
        (("--cases", 1, "--detectable", 0.8), "2 to 10000000"),
    ],
    ids=str,
)
def test_what_cannot_be_planned_is_refused(percuss, options, named):
    done = percuss("study", "plan", *options)
    assert done.exit_code == 2 and done.stdout == ""
    assert named in " ".join(done.stderr.split()) and "fault of Percuss" not in done.stderr


def test_a_created_study_says_what_it_can_show(percuss, plan, tmp_path):
    study, key = make(tmp_path / "study")
    save(tmp_path / "frozen.json", key.frozen)
    for options in ((tmp_path / "study",), ("--protocol", tmp_path / "frozen.json")):
        record = plan(*options)["study"]
        assert (record["cases"], record["trials"], record["protocol"]) == (4, 12, study.info.protocol_hash)
        assert "A small study: 4 cases" in percuss("study", "plan", *options).stdout
    # Two of the four are positive, which is known with the secret at hand alone.
    assert plan(tmp_path / "study")["study"]["endpoints"][0]["cases"] == 2
    assert plan("--protocol", tmp_path / "frozen.json")["study"]["endpoints"][0]["cases"] == 2
    moved = study.folder.secret_path.rename(tmp_path / "elsewhere.key")
    assert plan(tmp_path / "study", "--secret", moved)["study"]["endpoints"][0]["cases"] == 2
    sealed = plan(tmp_path / "study")["study"]["endpoints"][0]
    assert (sealed["cases"], sealed["at_most"]) == (4, True)
    assert "positive is sealed" in percuss("study", "plan", tmp_path / "study").stdout
    for options in ((tmp_path / "study", "--cases", 5), (tmp_path / "study", "--protocol", tmp_path / "frozen.json")):
        done = percuss("study", "plan", *options)
        assert done.exit_code == 2 and "alone" in done.stderr
    done = percuss("study", "plan", tmp_path)
    assert done.exit_code == 2 and "a study within it: study" in " ".join(done.stderr.split())


def test_the_sizes_of_the_page_are_those_that_the_command_gives(plan, root):
    page = (root / "docs" / "study-plan.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith(("| 5 p", "| 10 p", "| 15 p"))]
    assert len(rows) == 3
    for margin, *cells in rows:
        for share, cell in zip((0.05, 0.1, 0.2, 0.3), cells, strict=True):
            options = ("--margin", int(margin.split()[0]) / 100, "--discordance", share, "--draws", 0)
            score, wald = (plan(*options, "--test", test)["needed"]["cases"] for test in ("score", "wald"))
            assert cell.strip() == f"{score} ({wald})"
