"""A study amended, closed, or rid of a reader by another process while it is served: at once, and between trials."""

from __future__ import annotations

import contextlib
import json
import logging
import threading

import pytest
from tests.study.app.served import code_of, serving
from tests.study.reading import two_sessions
from tests.study.small_study import make

from percuss.study import amending
from percuss.study.access import enrol, renew, revoke
from percuss.study.amending import amend_study
from percuss.study.app.running_study import RunningStudy
from percuss.study.closing import close
from percuss.study.folder import StudyFolder
from percuss.study.opening import open_study
from percuss.study.seal import load_key
from percuss.study.verification.whole import verify_study

WHY = {"who": "Eve", "reason": "as decided"}


@contextlib.contextmanager
def elsewhere(study):
    """The same study as another process opens it: a command, or a second server."""
    opened = open_study(study.folder.path)
    try:
        yield opened
    finally:
        opened.database.close()


def amend(study, **changes):
    with elsewhere(study) as opened:
        amend_study(opened, changes, **WHY)


def sound(study):
    with elsewhere(study) as opened:
        return verify_study(opened, key=load_key(opened.folder)).faults == ()


def test_an_amendment_is_told_with_the_next_standing(served):
    ada, boss = served.enrolled(), served.enrolled("Boss", role="administrator")
    before = ada.get("/api/v1/standing").json()
    amend(served.study, title="Renamed <b>", labels=["normal", "tumour", "unsure"], ask_seen=True)
    after = ada.get("/api/v1/standing").json()
    told = {"title": "Renamed <b>", "labels": ["normal", "tumour", "unsure"], "ask_seen": True, "protocol": 1}
    assert after == {**before, **told} and before["protocol"] == 0
    assert boss.get("/api/v1/admin/progress").json()["title"] == "Renamed <b>"
    for browser, path in ((ada, "/"), (ada, "/read"), (boss, "/admin"), (ada, f"/r/{'a' * 40}")):
        assert "<title>Renamed &lt;b&gt;</title>" in browser.get(path).text, path
    assert "Renamed &lt;b&gt;" in ada.get("/none", headers={"Accept": "text/html"}).text
    trial = ada.get("/api/v1/trials/next").json()
    assert trial["standing"]["protocol"] == 1
    saved = ada.answer(trial, label="unsure")
    assert (saved.status_code, saved.json()["standing"]["protocol"]) == (200, 1) and sound(served.study)


def test_a_trial_that_is_shown_already_ends_as_it_began(served):
    ada = served.enrolled()
    trial = ada.get("/api/v1/trials/next").json()
    amend(served.study, labels=["healthy", "tumour"], cases=healthy(served.study))
    assert ada.answer(trial, label="normal").status_code == 200, "as the page that was open says it"
    assert ada.answer(label="healthy").status_code == 200
    assert code_of(ada.answer(label="elephant")) == "not-an-answer"
    amend(served.study, labels=["sound", "tumour"], cases=healthy(served.study, "sound"))
    for label in ("sound", "healthy", "normal"):
        assert ada.answer(label=label).status_code == 200, label


def healthy(study, label="healthy"):
    """The cases of the study, whose truth is called otherwise."""
    from percuss.study.design.protocol import in_force

    cases = [case.model_dump(mode="json") for case in in_force(load_key(study.folder).frozen).cases]
    return [{**case, "truth": case["truth"] if case["truth"] == "tumour" else label} for case in cases]


def test_a_longer_wash_out_waits_for_the_trial_on_the_screen(tmp_path):
    with serving(two_sessions(tmp_path, washout=0)) as served:
        ada, bea = served.enrolled(), served.enrolled("Bea")
        for who in (ada, bea):
            for _ in range(6):
                assert who.answer().status_code == 200
        shown = ada.get("/api/v1/trials/next").json()
        assert shown["session"] == 2
        amend(served.study, washout_days=14)
        assert ada.get(shown["images"][0]["url"]).status_code == 200
        assert ada.answer(shown).status_code == 200
        assert ada.answer().status_code == 200, "her session has begun"
        refused = bea.get("/api/v1/trials/next")
        assert (refused.status_code, code_of(refused)) == (409, "washout")
        last = bea.get("/api/v1/trials/last").json()
        assert bea.get(last["images"][0]["url"]).status_code == 200, "it can be corrected for an hour"
        amend(served.study, washout_days=0)
        assert bea.get("/api/v1/trials/next").json()["session"] == 2


def test_answers_go_on_while_it_is_amended_again_and_again(tmp_path):
    study, _ = make(tmp_path / "study", cases=6)
    with serving(study) as served:
        readers, done = [served.enrolled(name) for name in ("Ada", "Bea")], []
        reading = [threading.Thread(target=lambda who=who: done.append(len(who.read_all()))) for who in readers]
        for thread in reading:
            thread.start()
        for number in range(5):
            amend(study, title=f"Title {number}")
        for thread in reading:
            thread.join()
        assert done == [18, 18] and readers[0].get("/api/v1/standing").json()["protocol"] == 5
        assert readers[0].get("/api/v1/standing").json()["title"] == "Title 4"
        assert {r.status_code for who in readers for r in who.seen} == {200, 409} and sound(study)


def test_an_amendment_whose_command_was_killed_is_finished_or_forgotten(served, monkeypatch: pytest.MonkeyPatch):
    ada = served.enrolled()
    with monkeypatch.context() as patched:
        patched.setattr(amending, "settle", lambda *_: None)  # killed after the commit, before the files change places
        amend(served.study, title="Committed")
    assert served.study.folder.amending.exists()
    assert ada.get("/api/v1/standing").json()["title"] == "A small study", "reading waits for no writer"
    assert ada.answer().json()["standing"]["protocol"] == 1
    assert ada.get("/api/v1/standing").json()["title"] == "Committed" and not served.study.folder.amending.exists()
    with monkeypatch.context() as patched:
        patched.setattr(amending, "record", lambda *_, **__: 1 / 0)  # killed before the commit
        with pytest.raises(ZeroDivisionError):
            amend(served.study, title="Never")
    assert served.study.folder.amending.exists()
    assert ada.answer().json()["standing"]["protocol"] == 1 and not served.study.folder.amending.exists()
    assert sound(served.study)


def test_an_amendment_that_cannot_be_finished_costs_no_answer(served, monkeypatch, caplog):
    from percuss.study.app import running_study

    ada = served.enrolled()
    served.study.folder.amending.mkdir()
    monkeypatch.setattr(running_study, "settle", lambda *_: (_ for _ in ()).throw(PermissionError("/srv/secret")))
    assert ada.answer().status_code == ada.answer().status_code == 200
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == ["an amendment that was cut short cannot be finished"]
    served.study.folder.amending.rmdir()


@pytest.mark.parametrize("spoilt", ["no JSON", "missing", "another study"])
def test_files_that_cannot_be_the_studys_change_nothing(served, spoilt, caplog, tmp_path):
    ada, folder = served.enrolled(), served.study.folder
    kept = {path: path.read_bytes() for path in (folder.public_path, folder.info_path)}
    if spoilt == "missing":
        folder.public_path.unlink()
    elif spoilt == "no JSON":
        folder.public_path.write_bytes(b"{")
    else:
        other, _ = make(tmp_path / "other", title="Other")
        other.database.close()
        folder.info_path.write_bytes(other.folder.info_path.read_bytes())
        folder.public_path.write_bytes(other.folder.public_path.read_bytes())
    for _ in range(3):
        assert ada.get("/api/v1/standing").json()["title"] == "A small study"
        assert ada.answer().status_code == 200
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1 and said[0].endswith("the protocol stays as it was")
    for path, content in kept.items():
        path.write_bytes(content)
    amend(served.study, title="Mended")
    assert ada.get("/api/v1/standing").json()["title"] == "Mended"


def test_files_are_read_where_they_have_changed_alone(tmp_path, monkeypatch: pytest.MonkeyPatch):
    study, _ = make(tmp_path / "study")
    running, read, public = RunningStudy(study), [], StudyFolder.public
    monkeypatch.setattr(StudyFolder, "public", lambda folder: (read.append(1), public(folder))[1])
    first = running.now()
    assert all(running.now() is first for _ in range(5)) and len(read) == 1
    assert running.lenient().public == first.public
    amend(study, washout_days=3)
    read.clear()
    assert running.now() is running.now() and len(read) == 1
    assert (running.now().public.washout_days, running.lenient().public.washout_days) == (3, 0)
    study.database.close()


def test_closing_by_command_ends_reading_at_once(served):
    ada, boss = served.enrolled(), served.enrolled("Boss", role="administrator")
    trial = ada.get("/api/v1/trials/next").json()
    saved = ada.answer(trial)
    waiting = ada.get("/api/v1/trials/next").json()
    with elsewhere(served.study) as opened:
        close(opened, **WHY)
    assert ada.get("/api/v1/standing").json()["phase"] == "closed"
    for response in (ada.get("/api/v1/trials/next"), ada.answer(waiting), ada.post("/api/v1/display", {})):
        assert (response.status_code, code_of(response)) == (409, "closed")
    for image in [*waiting["images"], *trial["images"]]:
        assert ada.get(image["url"]).status_code == 404
    assert ada.get("/api/v1/trials/last").status_code == 404 and saved.status_code == 200
    assert boss.get("/api/v1/admin/progress").json()["state"] == "closed"
    again = ada.post("/api/v1/answers", sent_again(ada))
    assert (again.status_code, again.json()["again"]) == (200, True), "its reply may have been lost"


def sent_again(browser):
    """The body of the first answer that was taken."""
    taken = next(r for r in browser.seen if r.request.url.path.endswith("/answers") and r.status_code == 200)
    return json.loads(taken.request.content)


def test_who_is_revoked_or_renewed_by_command_is_out_at_once(served):
    ada, bea = served.enrolled(), served.enrolled("Bea")
    image = ada.get("/api/v1/trials/next").json()["images"][0]["url"]
    waiting = bea.get("/api/v1/trials/next").json()
    with elsewhere(served.study) as opened:
        revoke(opened, "Ada", **WHY)
        fresh = renew(opened, "Bea", **WHY)
    for who in (ada, bea):
        for path in ("/api/v1/standing", "/api/v1/trials/next", image):
            assert (who.get(path).status_code, code_of(who.seen[-1])) == (401, "not-logged-in")
        assert who.get("/read", follow_redirects=False).headers["location"] == "/"
        assert who.log_in(who.credentials.code).status_code == 401
        assert who.log_in(who.credentials.link_token).status_code == 401
    assert code_of(bea.answer(waiting)) == "not-logged-in"
    assert bea.log_in(fresh.code).status_code == 200 and bea.answer(waiting).status_code == 200


def test_two_servers_on_one_database_take_everything_up(tmp_path, postgresql_url):
    study, _ = make(tmp_path / "study", database=postgresql_url)
    code = enrol(study, "Ada").code
    with elsewhere(study) as other, serving(study) as first, serving(other) as second:
        browsers = [first.browser(), second.browser()]
        assert [browser.log_in(code).status_code for browser in browsers] == [200, 200]
        trial = browsers[0].get("/api/v1/trials/next").json()
        amend(study, title="Renamed", labels=["normal", "tumour", "unsure"])
        for browser in browsers:
            assert browser.get("/api/v1/standing").json()["title"] == "Renamed"
        assert browsers[1].answer(trial, label="unsure").status_code == 200
        assert browsers[0].answer(label="unsure").status_code == 200
        close(study, **WHY)
        assert [code_of(browser.get("/api/v1/trials/next")) for browser in browsers] == ["closed", "closed"]
        with elsewhere(study) as command:
            revoke(command, "Ada", **WHY)
        assert [browser.get("/api/v1/standing").status_code for browser in browsers] == [401, 401]
        assert sound(study)
