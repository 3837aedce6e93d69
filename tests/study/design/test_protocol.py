"""The protocol: fixed under its hash, amended in the open, never replaced."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from percuss.core.checked import checked
from percuss.core.errors import RunError, UsageError
from percuss.study.canonical import canonical
from percuss.study.design.protocol import Protocol, amend, check_frozen, freeze, in_force, load, save
from percuss.study.design.trials import Case

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def values(**changes):
    main = {
        "name": "loss of true positives",
        "role": "primary",
        "measure": "true-positives",
        "task": "diagnosis",
        "arm": "adversarial linf=2/255",
        "against": "original",
        "margin": 0.1,
    }
    images = {"original": "0" * 64, "adversarial linf=2/255": "1" * 64}
    return {
        "title": "as Foote",
        "run": "a" * 64,
        "seed": 7,
        "readers": 1,
        "cases": [{"id": f"c{n}", "truth": "tumour", "images": images} for n in range(20)],
        "arms": [{"kind": "original"}, {"kind": "adversarial", "size": "linf=2/255"}],
        "tasks": ["diagnosis"],
        "copies": 2,
        "rules": {"distance": 10},
        "endpoints": [main],
        "labels": ["normal", "tumour"],
        "positive": "tumour",
        **changes,
    }


@pytest.fixture
def frozen():
    return freeze(checked(Protocol, values()))


def test_the_hash_is_that_of_the_canonical_json(frozen):
    text = json.dumps(frozen.protocol.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    assert frozen.hash == hashlib.sha256(text.encode()).hexdigest()
    assert len(frozen.protocol.trials()) == 80
    again = Protocol.model_validate(dict(reversed(values().items())))
    assert freeze(again) == frozen
    with pytest.raises(ValidationError, match="frozen"):
        frozen.protocol.seed = 8


@pytest.mark.parametrize("change", [{"seed": 8}, {"rules": {"distance": 9}}, {"title": "x"}, {"run": "b" * 64}])
def test_whatever_changes_changes_the_hash(frozen, change):
    assert freeze(checked(Protocol, values(**change))).hash != frozen.hash


def test_one_file_or_margin_changes_the_hash(frozen):
    other = values()
    other["cases"][3]["images"] = {**other["cases"][3]["images"], "original": "2" * 64}
    assert freeze(checked(Protocol, other)).hash != frozen.hash
    other = values()
    other["endpoints"][0]["margin"] = 0.15
    assert freeze(checked(Protocol, other)).hash != frozen.hash


def test_an_amendment_is_added_and_what_stood_stays(frozen):
    first = amend(frozen, {"readers": 3}, who="administrator", reason="two more volunteered", now=NOW)
    second = amend(first, {"rules": {"distance": 5}}, who="administrator", reason="too slow", now=NOW)
    assert second.protocol == frozen.protocol and second.hash == frozen.hash
    assert [a.before for a in second.amendments] == [frozen.hash, first.last_hash]
    assert second.amendments[0] == first.amendments[0] and second.amendments[0].time.endswith("+00:00")
    assert in_force(second).readers == 3 and in_force(second).rules.distance == 5 and frozen.amendments == ()
    check_frozen(second)


@pytest.mark.parametrize(
    ("changes", "told", "text"),
    [
        ({"readers": 2}, {"reason": " "}, "without a reason"),
        ({"readers": 2}, {"who": ""}, "without who decided it"),
        ({"readers": 2}, {"now": datetime(2026, 1, 1)}, "without a zone"),
        ({"reader": 2}, {}, "no such field: reader. Allowed: readers"),
        ({"version": "2"}, {}, "no such field: version"),
        ({"margin": 0.2}, {}, "no such field: margin.*amend endpoints"),
        ({"readers": 1}, {}, "changes nothing"),
        ({}, {}, "changes nothing"),
        ({"readers": 0}, {}, "field of the protocol readers"),
        ({"rules": {"distance": 21}}, {}, "21 places with 20 cases"),
        ({"title": float("nan")}, {}, "no form in JSON"),
    ],
)
def test_amendments_that_are_refused(frozen, changes, told, text):
    with pytest.raises(UsageError, match=text):
        amend(frozen, changes, **{"who": "administrator", "reason": "because", "now": NOW, **told})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"endpoints": []}, "at least one primary"),
        ({"endpoints": values()["endpoints"] * 2}, "different names"),
        ({"endpoints": [{**values()["endpoints"][0], "arm": "noise linf=2/255"}]}, "needs noise linf=2/255 in diag"),
        ({"endpoints": [{**values()["endpoints"][0], "against": ""}]}, "arm to compare with"),
        ({"endpoints": [{**values()["endpoints"][0], "margin": 1.0}]}, "less than 1"),
        ({"endpoints": [{**values()["endpoints"][0], "measure": "agreement"}], "copies": 1}, "two copies or more"),
        ({"rules": {"distance": 10, "sessions": 2}}, "4 sessions or more, or together=2"),
        ({"margins": 0.1}, "margins"),
        ({"run": "results.json"}, "run cannot be used"),
    ],
)
def test_protocols_that_do_not_hold(change, text):
    with pytest.raises(UsageError, match=text):
        checked(Protocol, values(**change))


def test_a_stored_protocol_only_grows(frozen, tmp_path):
    path = tmp_path / "protocol.json"
    assert save(path, frozen) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(path) == frozen and path.read_text() == canonical(frozen.model_dump(mode="json")) + "\n"
    amended = amend(frozen, {"readers": 2}, who="a", reason="b", now=NOW)
    save(path, amended)
    other = amend(frozen, {"readers": 4}, who="a", reason="b", now=NOW)
    for wrong in (frozen, other, freeze(checked(Protocol, values(seed=8)))):
        with pytest.raises(RunError, match="cannot be replaced"):
            save(path, wrong)
    assert load(path) == amended


def planted(stored):
    """Every way of touching a stored protocol, and what is named."""
    first, second = stored["amendments"]
    yield {**stored, "protocol": {**stored["protocol"], "seed": 8}}, "the protocol is not"
    yield {**stored, "amendments": [{**first, "reason": "other"}, second]}, "amendment 1 is not"
    yield {**stored, "amendments": [first, {**second, "changes": {"readers": 9}}]}, "amendment 2 is not"
    yield {**stored, "amendments": [second]}, "amendment 1 is not"
    yield {**stored, "amendments": [second, first]}, "amendment 1 is not"
    yield {**stored, "amendments": [first, first, second]}, "amendment 2 is not"
    yield {**stored, "hash": "0" * 64}, "the protocol is not"
    yield {**stored, "more": 1}, "cannot be read"


def test_a_touched_protocol_is_named(frozen, tmp_path):
    path = tmp_path / "protocol.json"
    once = amend(frozen, {"readers": 2}, who="a", reason="b", now=NOW)
    save(path, amend(once, {"readers": 3}, who="a", reason="b", now=NOW))
    for content, text in list(planted(json.loads(path.read_text()))):
        path.write_text(json.dumps(content))
        with pytest.raises(RunError, match=text):
            load(path)
    with pytest.raises(RunError, match="cannot be read"):
        load(tmp_path / "none")


def test_a_file_changed_in_memory_is_found(frozen):
    wrong = Case(id="c0", truth="normal", images=frozen.protocol.cases[0].images)
    touched = frozen.protocol.model_copy(update={"cases": (wrong, *frozen.protocol.cases[1:])})
    with pytest.raises(RunError, match="the protocol is not as it was"):
        check_frozen(frozen.model_copy(update={"protocol": touched}))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": []}, "two labels"),
        ({"labels": ["tumour", "tumour"]}, "two labels"),
        ({"labels": ["normal", "benign"], "positive": "benign"}, "tumour"),
        ({"positive": ""}, "among the labels"),
        ({"washout_days": -1}, "washout_days"),
        ({"target": 0.5}, "target"),
    ],
)
def test_what_is_asked_fits_the_tasks(change, word):
    with pytest.raises(UsageError, match=word):
        checked(Protocol, values(**change))
