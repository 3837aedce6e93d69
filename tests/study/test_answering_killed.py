"""Processes that save answers are killed (SIGKILL) in the middle: what they acknowledged is there, once."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.study.answering_child import answer, id_of
from tests.study.reading import enrolled
from tests.study.small_study import ARMS, make

from percuss.study.answers import as_json
from percuss.study.opening import open_study
from percuss.study.tables import AnswerRow
from percuss.study.verification.whole import verify_study

CHILD = Path(__file__).with_name("answering_child.py")
KILLS = 3


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_answers_acknowledged_before_a_kill_are_there_once(tmp_path, request, monkeypatch, kind):
    folder = tmp_path / "study"
    url = request.getfixturevalue("postgresql_url") if kind == "postgresql" else None
    if url is not None:
        monkeypatch.setenv("PERCUSS_STUDY_DATABASE", url)
    study, _ = make(folder, cases=10, copies=5, arms=ARMS[:2], database=url)
    readers = [enrolled(study, "Ada"), enrolled(study, "Grace")]
    study.database.close()
    told = {reader: set() for reader in readers}
    for seed in range(KILLS):
        killed(folder, told, random.Random(seed))
    study = open_study(folder)
    with study.database.read() as session:
        rows = session.scalars(select(AnswerRow).order_by(AnswerRow.record)).all()
    for reader, acknowledged in told.items():
        theirs = [row for row in rows if row.reader == reader]
        assert len(acknowledged) > 2 * KILLS
        # Of each life at most one answer was saved whose acknowledgement nobody heard.
        assert [row.number for row in theirs] == list(range(1, len(theirs) + 1))
        assert len(acknowledged) <= len(theirs) <= len(acknowledged) + 1
        assert acknowledged == {(row.number, 1) for row in theirs[: len(acknowledged)]}
        for row in theirs:
            assert (row.id, row.version) == (id_of(reader, row.number), 1)
            assert row.answer == as_json(answer(study, reader, row.number).answer)
    assert verify_study(study).sound
    study.database.close()


def killed(folder, told, chance):
    """Two readers at once, each in a process of its own, which are killed when both have answered a while."""
    children = {reader: started(folder, reader) for reader in told}
    heard = {reader: [child.stdout.readline() for _ in range(4)] for reader, child in children.items()}
    time.sleep(chance.uniform(0, 0.1))
    for child in children.values():
        child.kill()
    for reader, child in children.items():
        rest, _ = child.communicate()
        assert child.returncode == -9
        ready, *lines = b"".join([*heard[reader], rest]).split(b"\n")[:-1]
        assert ready == b"ready"
        told[reader] |= {tuple(map(int, line.split())) for line in lines}


def started(folder, reader):
    """A process that answers for this reader."""
    command = [sys.executable, str(CHILD), str(folder), str(reader)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
