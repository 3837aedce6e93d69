"""Amendments: sealed, told in public and in the trail, and whole whenever the machine dies."""

import pytest
from tests.study.dying import killed_in
from tests.study.reading import at, enrolled, read
from tests.study.small_study import make

from percuss.core.errors import RunError, UsageError
from percuss.study import amending
from percuss.study.amending import amend_study
from percuss.study.closing import close
from percuss.study.design.protocol import in_force
from percuss.study.opening import open_study
from percuss.study.seal import load_key
from percuss.study.trail import head
from percuss.study.verification.whole import verify_study


@pytest.fixture
def study(tmp_path):
    made, _ = make(tmp_path / "study", cases=3, slots=2)
    yield made
    made.database.close()


def again(study):
    """The study as the next process opens it."""
    return open_study(study.folder.path)


def sound(study):
    opened = again(study)
    verdict = verify_study(opened, key=load_key(opened.folder))
    opened.database.close()
    return verdict.faults == () and not study.folder.amending.exists()


def records(study):
    with study.database.read() as session:
        return head(session).number


def test_an_amendment_is_in_the_key_the_public_protocol_and_the_trail(study):
    before = load_key(study.folder)
    frozen = amend_study(study, {"readers": 3, "title": "Renamed"}, who="Eve", reason="one more joins", now=at())
    opened = again(study)
    assert load_key(study.folder).frozen == frozen and in_force(frozen).readers == 3
    assert (opened.public.readers, opened.public.title, opened.info.title) == (3, "Renamed", "Renamed")
    assert opened.public.hash == before.frozen.hash == opened.info.protocol_hash
    told = opened.public.amendments[0]
    assert (told.who, told.reason, told.changes) == ("Eve", "one more joins", {"readers": 3, "title": "Renamed"})
    assert load_key(study.folder).trials == before.trials
    opened.database.close()
    assert records(study) == 2 and sound(study)
    amend_study(study, {"target": 0.8}, who="Eve", reason="as others do")
    assert records(study) == 3 and sound(study)


def test_a_truth_is_amended_and_stays_with_the_key(study):
    cases = [case.model_dump(mode="json") for case in in_force(load_key(study.folder).frozen).cases]
    cases[0]["truth"] = "tumour" if cases[0]["truth"] == "normal" else "normal"
    amend_study(study, {"cases": cases}, who="Eve", reason="the pathology was revised")
    opened = again(study)
    assert opened.public.amendments[0].changes == {"cases": None}
    assert in_force(load_key(study.folder).frozen).cases[0].truth == cases[0]["truth"]
    opened.database.close()
    assert sound(study)
    stored = study.folder.public_path.read_bytes() + study.folder.database_path.read_bytes()
    assert b"case-0" not in stored and b"patient-0" not in stored


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 8}, "orders of the study were drawn from what is to be amended: seed"),
        ({"copies": 2}, "drawn from what is to be amended: copies"),
        ({"cases": []}, "a study without a case|cases"),
        ({"readers": 2}, "changes nothing"),
        ({"reader": 2}, "no such field"),
        ({"positive": "maybe"}, "positive one among the labels"),
    ],
)
def test_what_cannot_be_amended_is_refused_and_nothing_is_written(study, changes, says):
    sealed = study.folder.sealed.read_bytes()
    with pytest.raises(Exception, match=says):
        amend_study(study, changes, who="Eve", reason="why not")
    assert study.folder.sealed.read_bytes() == sealed and records(study) == 1 and sound(study)


def test_pictures_of_cases_cannot_be_amended(study):
    cases = [case.model_dump(mode="json") for case in in_force(load_key(study.folder).frozen).cases]
    cases[0]["images"], cases[1]["images"] = cases[1]["images"], cases[0]["images"]
    with pytest.raises(UsageError, match="drawn from what is to be amended: cases"):
        amend_study(study, {"cases": cases}, who="Eve", reason="why not")


def test_an_amendment_needs_a_reason_an_open_study_and_the_secret(study, tmp_path):
    with pytest.raises(UsageError, match="needs a reason"):
        amend_study(study, {"readers": 3}, who="Eve", reason=" ")
    with pytest.raises(RunError, match="secret of the sealed key cannot be read"):
        amend_study(study, {"readers": 3}, who="Eve", reason="r", secret_file=tmp_path / "none")
    other, _ = make(tmp_path / "other", cases=3, slots=1)
    other.database.close()
    with pytest.raises(RunError, match="does not open"):
        amend_study(study, {"readers": 3}, who="Eve", reason="r", secret_file=other.folder.secret_path)
    assert records(study) == 1 and sound(study)
    close(study, who="Eve", reason="done")
    with pytest.raises(UsageError, match="closed"):
        amend_study(study, {"readers": 3}, who="Eve", reason="r")


def test_answers_go_on_after_an_amendment(study):
    ada = enrolled(study)
    read(study, ada, 1, 2)
    amend_study(study, {"readers": 3}, who="Eve", reason="one more", now=at(hours=1))
    read(study, ada, 3, 4, now=at(hours=2))
    assert sound(study)


def one_more(study):
    amend_study(study, {"readers": 3}, who="Eve", reason="one more")


@pytest.mark.parametrize("step", range(1, 7))
def test_a_kill_leaves_the_old_study_or_the_new_one(study, step):
    """Calls of fsync: three files, two folders, and after the commit the folder whose files have changed places."""
    amend_study(study, {"target": 0.7}, who="Eve", reason="before the kill")
    assert killed_in(one_more, study.folder.path, at=step) == 9 and study.folder.amending.exists()
    assert sound(study)
    count = 2 if step == 6 else 1
    assert records(study) == 1 + count and len(again_amendments(study)) == count
    amend_study(study, {"target": 0.8}, who="Eve", reason="after the kill")
    assert sound(study)


def test_a_server_that_stays_up_amends_after_a_command_was_killed(study):
    assert killed_in(one_more, study.folder.path, at=5) == 9
    assert study.folder.amending.exists()
    amend_study(study, {"target": 0.8}, who="Eve", reason="after the kill")
    assert sound(study) and len(again_amendments(study)) == 1


def again_amendments(study):
    opened = again(study)
    opened.database.close()
    return opened.public.amendments


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_files_that_had_not_all_moved_move_at_the_next_opening(study, moved, monkeypatch):
    """Killed between the commit and the last of the moves: the trail says that the amendment is in force."""
    monkeypatch.setattr(amending, "settle", lambda *_: None)
    amend_study(study, {"readers": 3}, who="Eve", reason="one more")
    monkeypatch.undo()
    folder = study.folder
    for path in (folder.sealed, folder.public_path, folder.info_path)[:moved]:
        (folder.amending / path.name).replace(path)
    assert sound(study) and len(again_amendments(study)) == 1


def test_a_study_with_amendments_that_the_trail_lacks_is_not_sound(study):
    amend_study(study, {"readers": 3}, who="Eve", reason="one more")
    key = load_key(study.folder)
    bare = key.model_copy(update={"frozen": key.frozen.model_copy(update={"amendments": ()})})
    opened = again(study)
    faults = verify_study(opened, key=bare).faults
    opened.database.close()
    assert "the key: its amendments are not those of the trail" in faults
