"""A reader's whole way through the interface, and what an administrator sees of it."""

from __future__ import annotations

import uuid

import pytest
from tests.study.app.served import answer_to, code_of, serving
from tests.study.small_study import make

from percuss.study import standing as standings
from percuss.study.design.order import OrderRules


def test_a_reader_reads_to_the_end_and_everything_is_there(served):
    ada = served.enrolled()
    standing = ada.get("/api/v1/standing").json()
    assert (standing["phase"], standing["done"], standing["total"]) == ("reading", 0, 12)
    assert (standing["title"], standing["name"], standing["csrf"]) == ("A small study", "Ada", ada.csrf)
    assert (standing["labels"], standing["steps"], standing["round"]) == (["normal", "tumour"], 5, 4)
    assert ada.post("/api/v1/display", {"monitor": "EIZO", "px_per_cm": 38.2}).status_code == 204
    trials = ada.read_all()
    assert [trial["number"] for trial, _ in trials] == list(range(1, 13))
    refused = ada.get("/api/v1/trials/next")
    assert (refused.status_code, code_of(refused)) == (409, "finished")
    assert refused.json()["standing"]["done"] == 12
    boss = served.enrolled("Boss", role="administrator")
    progress = boss.get("/api/v1/admin/progress").json()
    assert [(who["name"], who["done"], who["total"]) for who in progress["readers"]] == [
        ("Ada", 12, 12),
        ("Boss", 0, 0),
    ]
    assert "answer" not in boss.seen[-1].text


def test_the_next_images_are_named_ahead_and_no_later_one_is_given(served):
    ada = served.enrolled()
    trial = ada.get("/api/v1/trials/next").json()
    assert [ahead["number"] for ahead in trial["ahead"]] == [2, 3]
    soon = [image["url"] for ahead in trial["ahead"] for image in ahead["images"]]
    assert [ada.get(url).status_code for url in soon] == [200, 200]
    for _ in range(3):
        ada.answer()
    assert ada.get(trial["images"][0]["url"]).status_code == 404, "read two trials ago"


def test_ahead_stays_within_the_session(tmp_path):
    from tests.study.reading import two_sessions

    with serving(two_sessions(tmp_path)) as served:
        ada = served.enrolled()
        trials = ada.read_all()
        assert [len(trial["ahead"]) for trial, _ in trials] == [2, 2, 2, 2, 1, 0]
        assert code_of(ada.get("/api/v1/trials/next")) == "washout"
        assert ada.seen[-1].json()["standing"]["opens"] is not None


def test_an_answer_in_another_tab_between_two_looks_does_not_show(served, monkeypatch: pytest.MonkeyPatch):
    ada = served.enrolled()
    trial, looked = ada.get("/api/v1/trials/next").json(), standings.shown_places
    other = served.browser()
    other.log_in(ada.credentials.code)

    def look(*given):
        monkeypatch.setattr(standings, "shown_places", looked)
        found = looked(*given)
        assert other.answer(trial).status_code == 200
        return found

    monkeypatch.setattr(standings, "shown_places", look)
    shown = ada.get("/api/v1/trials/next").json()
    assert (shown["number"], shown["standing"]["next_number"]) == (2, 2)


def test_an_answer_counts_once_and_is_corrected_with_a_reason(served):
    ada = served.enrolled()
    trial, same = ada.get("/api/v1/trials/next").json(), str(uuid.uuid4())
    first, second = ada.answer(trial, id=same), ada.answer(trial, id=same, shown={"tries": 2, "offline": True})
    assert (first.json()["again"], second.json()["again"]) == (False, True)
    assert first.json()["saved"] == second.json()["saved"]
    assert code_of(ada.answer(trial, id=same, label="normal")) == "id-used"
    assert code_of(ada.answer(trial)) == "answered"
    corrected = ada.answer(trial, label="normal", reason="pressed the wrong key")
    assert (corrected.status_code, corrected.json()["version"]) == (200, 2)
    last = ada.get("/api/v1/trials/last").json()
    assert (last["number"], last["version"], last["answer"]["label"]) == (1, 2, "normal")
    assert ada.get(last["images"][0]["url"]).status_code == 200


def test_two_images_come_under_two_tokens(tmp_path):
    study, _ = make(tmp_path / "study", tasks=("choice",))
    with serving(study) as served:
        ada = served.enrolled()
        trial = ada.get("/api/v1/trials/next").json()
        assert len({image["token"] for image in trial["images"]}) == 2
        assert ada.answer(trial, side="right").status_code == 200


def test_the_answers_to_deep_images_hold_their_range(tmp_path):
    study, _ = make(tmp_path / "study", levels=4095)
    with serving(study) as served:
        image = served.enrolled().get("/api/v1/trials/next").json()["images"][0]
    assert (image["bits"], image["levels"], image["level"], image["window"]) == (16, 4095, 2047.5, 4095)
    assert (image["width"], image["height"], image["channels"], image["tiles"]) == (8, 8, 1, None)


def test_an_administrator_shuts_out_renews_and_closes(served):
    ada, boss = served.enrolled(), served.enrolled("Boss", role="administrator")
    act = {"name": "Ada", "reason": "lost the letter"}
    new = boss.post("/api/v1/admin/renew", act).json()
    assert (new["name"], new["link"][:3]) == ("Ada", "/r/")
    assert code_of(ada.get("/api/v1/standing")) == "not-logged-in", "the old login ended"
    assert ada.log_in(ada.credentials.code).status_code == 401
    assert ada.log_in(new["link"][3:]).status_code == 200
    assert boss.post("/api/v1/admin/revoke", act).status_code == 204
    assert ada.log_in(new["code"]).status_code == 401
    assert boss.post("/api/v1/admin/revoke", {**act, "name": "Eve"}).status_code == 422
    assert boss.post("/api/v1/admin/override", {**act, "session": 2}).status_code == 422, "there is one session"
    eve = served.enrolled("Eve")
    trial = eve.get("/api/v1/trials/next").json()
    head = boss.post("/api/v1/admin/close", {"reason": "all have read"}).json()
    assert head["number"] > 5 and len(head["hash"]) == 64
    late = eve.post("/api/v1/answers", answer_to(trial))
    assert (late.status_code, code_of(late)) == (409, "closed")
    assert code_of(eve.get("/api/v1/trials/next")) == "closed"
    assert code_of(eve.post("/api/v1/display", {})) == "closed"
    assert eve.get(trial["images"][0]["url"]).status_code == 404


def test_a_study_in_postgresql_is_read_corrected_and_closed_the_same(tmp_path, postgresql_url):
    study, _ = make(tmp_path / "study", database=postgresql_url, cases=2, rules=OrderRules(distance=1))
    with serving(study) as served:
        ada, boss = served.enrolled(), served.enrolled("Boss", role="administrator")
        assert len(ada.read_all()) == 6
        last = ada.get("/api/v1/trials/last").json()
        assert ada.answer(last, label="normal", reason="é \u2028 <b>").json()["version"] == 2
        assert ada.post("/api/v1/display", {"monitor": "é"}).status_code == 204
        assert boss.get("/api/v1/admin/progress").json()["readers"][0]["corrections"] == 1
        assert boss.post("/api/v1/admin/close", {"reason": "done"}).status_code == 200
        assert code_of(ada.answer(last, reason="late")) == "closed"
