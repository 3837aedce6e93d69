"""The page of a reader study: whole, offline, escaped, the verdict first; and its results.json."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from tests.study.results.study_answers import LOSS, choice, diagnosis, foote, protocol_of, read_all, same, sha
from tests.study.results.test_thresholds import ARMS, key_of, level_of, number_of, seen_share

from percuss.core.errors import RunError
from percuss.core.study_results import StudyRecord, StudyResults
from percuss.report.reader_study import VOUCHED, given_text, study_page, write_study_report
from percuss.report.reader_study_schema import (
    committed_study_schema,
    generated_study_schema,
    read_study_results,
    write_study_results,
)
from percuss.report.reader_study_tables import p_text
from percuss.report.reader_study_text import results_text, threshold_sentence, without_curve
from percuss.study.results.compute import Studied, compute
from percuss.study.results.happened import Happened, Person
from percuss.study.results.sizes import sizes_of

NASTY = 'Do <b>readers</b> & "friends" see it?'


def about(title: str = NASTY, *, sound: bool = True) -> StudyRecord:
    return StudyRecord(
        id="0123456789abcdef",
        title=title,
        created="2026-11-01T10:00:00+00:00",
        closed="2026-11-21T10:00:00+00:00",
        computed="2026-11-21T12:00:00+00:00",
        percuss_version="0.0",
        run="run",
        run_sha256=sha("run"),
        model_sha256=sha("model"),
        protocol_hash=sha("protocol"),
        last_hash=sha("last"),
        trail_number=412,
        trail_hash=sha("trail"),
        trail_sound=sound,
    )


def resulted(protocol, answer, readers=("R1",), faults=()) -> StudyResults:
    reads = read_all(protocol, answer, readers)
    people = tuple(
        Person(name, len(protocol.trials()), order=tuple(r.number for r in reads if r.reader == name))
        for name in readers
    )
    happened = Happened(people=people, closed="2026-11-21T10:00:00+00:00", faults=faults)
    key = key_of(protocol, [0.5] * len(protocol.cases))
    return compute(Studied(reads, key, happened, sizes_of(protocol)), about(sound=not faults))


@pytest.fixture(scope="module")
def whole() -> StudyResults:
    """Three readers, three tasks, five sizes."""
    loss = LOSS.model_copy(update={"arm": "adversarial linf=4/255"})
    protocol = protocol_of(
        cases=12, negatives=4, copies=1, tasks=("diagnosis", "choice", "same"), arms=ARMS, endpoints=(loss,)
    )

    def answer(reader, trial, truth):
        place = number_of(trial) + int(reader[1:])
        if trial.task == "diagnosis":
            return diagnosis("tumour" if place % 5 else "normal", 1 + place % 5)
        right = place % 12 < round(12 * seen_share(level_of(trial)))
        return choice(right) if trial.task == "choice" else same(not right or level_of(trial) == 0)

    return resulted(protocol, answer, ("R1", "R2", "R3"))


def test_committed_schema_is_the_generated_one() -> None:
    assert committed_study_schema() == generated_study_schema(), (
        "a field of core.study_results changed: write generated_study_schema() to report/schema/ and raise the version"
    )


def test_results_are_written_checked_and_read_again(tmp_path: Path, whole: StudyResults) -> None:
    path = write_study_results(whole, tmp_path / "results.json")
    assert read_study_results(path) == whole
    content = json.loads(path.read_text())
    assert all(
        isinstance(content[name], list) for name in ("arms", "endpoints", "agreement", "thresholds", "deviations")
    )
    assert content["schema_version"] == "1.0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "9"}, "another schema"),
        ({"arms": 3}, "does not fit its schema at arms"),
        ({"surprise": 1}, "at the top level"),
    ],
)
def test_unfit_results_are_refused(tmp_path: Path, whole: StudyResults, change, message) -> None:
    path = write_study_results(whole, tmp_path / "results.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=message):
        read_study_results(path)


def test_missing_damaged_and_infinite(tmp_path: Path, whole: StudyResults) -> None:
    with pytest.raises(RunError, match="no results yet"):
        read_study_results(tmp_path / "results.json")
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(RunError, match="no results file"):
        read_study_results(tmp_path / "results.json")
    broken = whole.model_copy(update={"protocol": whole.protocol.model_copy(update={"washout_days": float("inf")})})
    with pytest.raises(RunError, match=r"results\.protocol\.washout_days"):
        write_study_results(broken, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def test_the_page_is_whole_offline_and_escaped(tmp_path: Path, whole: StudyResults) -> None:
    path = write_study_report(whole, tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert "Do &lt;b&gt;readers&lt;/b&gt; &amp;" in page and "<b>readers" not in page
    assert re.findall(r"(?:https?:)?//[a-z]", page) == []
    assert "<script" not in page
    numbers = write_study_results(whole, tmp_path / "results.json").read_bytes()
    assert f'<meta name="{VOUCHED}" content="{hashlib.sha256(numbers).hexdigest()}">' in page
    contents = re.findall(r'<a href="#([a-z-]+)"', page)
    assert contents == re.findall(r'<section id="([a-z-]+)"', page)
    assert set(contents) >= {"verdict", "thresholds", "agreement", "deviations", "fine"}


def test_the_verdict_comes_first_in_plain_words() -> None:
    results = resulted(protocol_of(), foote)
    page = study_page(results)
    before, _, _ = page.partition("<h2")
    assert "−2.5 points" in before
    assert "<strong>Not shown.</strong> Loss of true positives: −2.5 points" in before
    assert "margin 5 points; 20 cases" in before


def test_table_1b_stands_in_page_and_text() -> None:
    results = resulted(protocol_of(), foote)
    rows = re.findall(
        r"<tr><td>R1</td><td>copy (\d)</td><td class=\"n\">(.*?)</td><td class=\"n\">(.*?)</td></tr>",
        study_page(results),
    )
    assert rows == [("1", "17 of 20", "18 of 20"), ("2", "18 of 20", "18 of 20")]
    text = results_text(results)
    assert re.search(r"copy 1\s+17 of 20\s+18 of 20\nR1  copy 2\s+18 of 20\s+18 of 20", text)
    assert "primary: true positives: NOT SHOWN" in text


def test_curves_stand_beside_the_models_flips(whole: StudyResults) -> None:
    page = study_page(whole)
    assert page.count("<svg") == 2
    assert ">readers<" in page and ">model flips<" in page and ">readers, noise<" in page
    # Sizes are written as the protocol writes them.
    assert "The model flips half of the cases at 0.5/255 or less." in results_text(whole)


def test_a_study_that_does_not_verify_is_stamped() -> None:
    page = study_page(resulted(protocol_of(cases=3), foote, faults=("record 7 was changed",)))
    assert "INVALID" in page and "record 7 was changed" in page and "DO NOT vouch" in page


def test_a_study_without_an_answer_has_a_page() -> None:
    page = study_page(resulted(protocol_of(cases=3), foote, readers=()))
    assert "There are no answers for this endpoint." in page
    assert "0 of 1 planned" in page


def test_answers_in_words() -> None:
    assert given_text({"task": "diagnosis", "label": "tumour", "confidence": 4}) == "tumour, confidence 4"
    assert given_text({"task": "same", "same": False}) == "different"
    assert given_text({}) == "no answer"


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0001, "<0.001"), (0.0469, "0.047"), (1.0, "1.000")])
def test_p_values(value, text) -> None:
    assert p_text(value) == text


def test_a_threshold_beyond_the_sizes_shown_is_told_as_such(whole: StudyResults) -> None:
    one = next(item for item in whole.thresholds if item.kind == "adversarial" and item.scope == "all")
    bounds = one.threshold.model_copy(update={"value": None, "low": 12 / 255, "high": 30 / 255})
    beyond = {"status": "undetermined", "fitted": (20 / 255, 2.0, 0.0), "threshold": bounds}
    text = threshold_sentence(one.model_copy(update=beyond))
    assert "75 % right near or above the largest size shown, 16/255 [95 % interval 12/255 to 30/255]." in text
    below = beyond | {"fitted": (0.5 / 255, 2.0, 0.0)}
    assert "near or below the smallest size shown, 1/255" in threshold_sentence(one.model_copy(update=below))
    blank = one.model_copy(update={"status": "none", "why": "no answers", "fitted": None, "curve": []})
    assert without_curve([blank]) == ["No curve for adversarial, linf, choice: no answers."]
