"""Ctrl-C in the commands of a study: what is said of the work is true, and the same command can be given again."""

import pytest
from tests.study.reading import enrolled, two_sessions

WHY = ("--reason", "r")
ADA = ("--name", "Ada", *WHY)
ACTS = {
    "enrol": ("--name", "Ben"),
    "close": WHY,
    "revoke": ADA,
    "renew": ADA,
    "amend": ("--set", "washout_days=2", *WHY),
}
ACTS["override"] = (*ADA, "--session", 2)
LOOKS = {"status": (), "verify": (), "serve": (), "results": (), "export": ("--out", "files")}


@pytest.fixture
def folder(tmp_path):
    opened = two_sessions(tmp_path)
    enrolled(opened)
    opened.database.close()
    return opened.folder.path


def stopped(*_, **__):
    raise KeyboardInterrupt


def told(done):
    assert done.exit_code == 3 and done.stdout == ""
    said = done.stderr.rpartition("percuss: interrupted. ")[2]
    assert said != done.stderr and "is finished is kept" not in said
    return said


@pytest.mark.parametrize("act", ACTS)
def test_an_act_was_done_whole_or_not_at_all(percuss, folder, monkeypatch, act):
    with monkeypatch.context() as patched:
        patched.setattr("percuss.study.opening.open_study", stopped)
        assert "whole or not at all" in told(percuss("study", act, folder, *ACTS[act]))
    assert percuss("study", act, folder, *ACTS[act]).exit_code == 0
    assert percuss("study", "verify", folder).exit_code == 0


@pytest.mark.parametrize("act", LOOKS)
def test_what_only_looks_begins_anew(percuss, folder, monkeypatch, act):
    monkeypatch.setattr("percuss.study.opening.open_study", stopped)
    assert "begins anew" in told(percuss("study", act, folder, *LOOKS[act]))


def test_an_export_that_was_interrupted_leaves_its_place_free(percuss, folder, tmp_path, monkeypatch):
    assert percuss("study", "close", folder, *WHY).exit_code == 0
    out = tmp_path / "deep" / "files"
    act = ("study", "export", folder, "--out", out)
    from percuss.study import exporting

    whole, count = exporting.write_bytes, []

    def third_time(path, content):
        count.append(path)
        return stopped() if len(count) == 3 else whole(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "write_bytes", third_time)
        assert "begins anew" in told(percuss(*act))
    assert len(count) == 3 and (not out.exists() or not any(out.iterdir()))
    done = percuss(*act)
    assert done.exit_code == 0, done.stderr


def test_a_study_that_was_being_made_leaves_its_place_free(percuss, images, factory, tmp_path, monkeypatch):
    sizes = ("--attack", "fgsm", "--budget", "linf=32/255", "--checks", "off", "--allow-code", "--quiet")
    done = percuss("audit", "--data", images, "--model", factory, "--out", tmp_path / "run", *sizes)
    assert done.exit_code == 0, done.stderr
    place = tmp_path / "studies"
    act = ("study", "create", tmp_path / "run", "--out", place / "study", "--cases", "dark=2,light=2", "--allow-code")
    with monkeypatch.context() as patched:
        patched.setattr("percuss.study.access.enrol", stopped)  # the last thing that is done
        said = told(percuss(*act))
    assert "Nothing of the study is kept" in said and "begins anew" in said
    assert not place.exists() or list(place.iterdir()) == []
    with monkeypatch.context() as patched:
        patched.setattr("percuss.pipeline.study_create.make_pools", stopped)
        assert "Nothing of the study is kept" in told(percuss(*act))
    assert percuss(*act).exit_code == 0
    import percuss.pipeline.study_create as creating

    whole = creating.create_study
    monkeypatch.setattr(creating, "create_study", lambda *a, **o: (whole(*a, **o), stopped()))
    late = (*act[:4], place / "second", *act[5:])
    said = told(percuss(*late))
    assert "finished all the same" in said and f"percuss study renew {place / 'second'} --name administrator" in said
    done = percuss("study", "renew", place / "second", "--name", "administrator", "--reason", "never shown")
    assert done.exit_code == 0 and "code  " in done.stdout
