"""A study whose making was killed: nothing at its place, and the same call then makes it."""

import subprocess
import sys

import pytest
from test_native import Mean, Scans

from percuss.core.errors import RunError, UsageError
from percuss.pipeline import study_attempt
from percuss.pipeline.interface import audit
from percuss.pipeline.progress import Progress
from percuss.pipeline.study_create import create_study
from percuss.study.folder import StudyFolder
from percuss.study.opening import open_study
from percuss.study.seal import load_key
from percuss.study.verification.whole import verify_study

GIVEN = {"preset": "foote", "cases": 3, "seed": 1, "budgets": "linf=30HU"}
LEFT = ".percuss-study.making"
#: Each child dies at another moment; the modules are imported once, and no tensor is made before the fork.
KILLED = """
import os, signal, sys
from pathlib import Path
from percuss.pipeline import study_attempt
from percuss.pipeline.study_create import create_study
from percuss.study import creating, settling, spool

def dying(real, at=1, *, after=False):
    calls = []
    def call(*given, **named):
        calls.append(1)
        if len(calls) == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*given, **named)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return call

moments = {
    "pictures": lambda: setattr(spool.Spool, "add", dying(spool.Spool.add, 4)),
    "files": lambda: setattr(creating, "write_picture", dying(creating.write_picture, 3)),
    "database": lambda: setattr(creating, "_fill", dying(creating._fill, after=True)),
    "move": lambda: setattr(study_attempt, "_move", dying(study_attempt._move)),
    "secret": lambda: setattr(study_attempt, "write_secret", dying(study_attempt.write_secret, after=True)),
    "moved": lambda: setattr(settling, "sync", dying(settling.sync)),
}
for name, prepare in moments.items():
    child = os.fork()
    if child == 0:
        prepare()
        out = Path(sys.argv[2]) / name / "study"
        create_study(sys.argv[1], out=out, preset="foote", cases=3, seed=1, budgets="linf=30HU")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, name
"""


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    out = tmp_path_factory.mktemp("scans") / "run"
    return audit(data=Scans(), model=Mean(), out=out, budgets=["linf=30HU"], attacks="pgd", checks="off")


@pytest.fixture(scope="module")
def killed(scans, tmp_path_factory):
    """A folder for each moment of death, as the kill left it."""
    if sys.platform == "win32":
        pytest.skip("needs SIGKILL")
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, "-c", KILLED, scans.path, folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return folder


class Heard(Progress):
    """What was said, and how far it went."""

    def __init__(self):
        self.lines, self.total, self.done = [], 0, 0

    def line(self, text):
        self.lines.append(text)

    def start(self, label, total):
        self.total = total

    def advance(self, count=1):
        self.done += count


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("moment", ["pictures", "files", "database", "move", "secret"])
def test_a_kill_leaves_nothing_at_the_place_and_the_same_call_makes_the_study(killed, scans, moment):
    place, heard = killed / moment, Heard()
    assert names(place) == ([LEFT, "study.key"] if moment == "secret" else [LEFT])
    assert (place / LEFT).stat().st_mode & 0o077 == 0
    made = create_study(scans.path, out=place / "study", progress=heard, **GIVEN)
    assert names(place) == ["study", "study.key"]
    assert heard.lines[0] == f"a study that was not finished was removed: {place / LEFT}"
    assert (heard.done, heard.total) == (3, 3)
    study = open_study(made.path)
    assert verify_study(study, key=load_key(study.folder)).sound
    study.database.close()


def test_a_study_that_had_moved_when_the_kill_came_is_whole_and_stays(killed, scans):
    place = killed / "moved"
    assert names(place) == [LEFT, "study", "study.key"]
    with pytest.raises(UsageError, match="an existing study is never touched"):
        create_study(scans.path, out=place / "study", **GIVEN)
    assert names(place) == ["study", "study.key"]
    study = open_study(place / "study")
    assert verify_study(study, key=load_key(study.folder)).sound
    study.database.close()


def test_a_database_elsewhere_that_a_killed_call_wrote_is_named_at_once(scans, tmp_path, monkeypatch):
    url, heard, real = f"sqlite:///{tmp_path / 'elsewhere.db'}", Heard(), study_attempt.shutil.rmtree

    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(study_attempt, "_move", fails)
    monkeypatch.setattr(study_attempt.shutil, "rmtree", lambda *_, **__: None)  # as a kill leaves it
    with pytest.raises(KeyboardInterrupt):
        create_study(scans.path, out=tmp_path / "study", database=url, **GIVEN)
    monkeypatch.setattr(study_attempt.shutil, "rmtree", real)
    monkeypatch.setattr("percuss.pipeline.study_create.make_files", lambda *_: pytest.fail("attacked first"))
    with pytest.raises(RunError, match=r"the database holds a study already.*elsewhere\.db"):
        create_study(scans.path, out=tmp_path / "study", database=url, progress=heard, **GIVEN)
    assert heard.lines[1].startswith("what it had written to its database is still there, so give an empty one: sqlite")
    assert names(tmp_path) == ["elsewhere.db"]


def test_a_secret_of_another_study_stays_where_a_kill_left_its_traces(scans, tmp_path):
    (tmp_path / LEFT).mkdir()
    (tmp_path / LEFT / "study.key").write_bytes(b"of the study that was killed")
    (tmp_path / "study.key").write_bytes(b"of another study")
    with pytest.raises(UsageError, match="a study needs a place of its own"):
        create_study(scans.path, out=tmp_path / "study", **GIVEN)
    assert names(tmp_path) == ["study.key"] and (tmp_path / "study.key").read_bytes() == b"of another study"


def test_a_study_that_cannot_move_leaves_nothing(scans, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(13, "no")

    monkeypatch.setattr("percuss.pipeline.study_attempt.Path.rename", fails)
    with pytest.raises(RunError, match=r"study cannot be written: no"):
        create_study(scans.path, out=tmp_path / "study", **GIVEN)
    assert names(tmp_path) == []


def test_a_place_is_for_one_process(scans, tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    said = []

    def second(*_):
        with pytest.raises(RunError, match="another process creates a study there"):
            create_study(scans.path, out=tmp_path / "study", **GIVEN)
        said.append(names(tmp_path))

    monkeypatch.setattr(study_attempt, "_clear", second)
    create_study(scans.path, out=tmp_path / "study", **GIVEN)
    assert said == [[LEFT]] and StudyFolder(tmp_path / "study").info().title
