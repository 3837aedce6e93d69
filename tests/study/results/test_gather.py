"""Answers joined with the key, the same from either kind of database."""

from __future__ import annotations

from uuid import uuid4

import pytest

pytest.importorskip("sqlalchemy", reason="the extra study is not installed")

from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.answering import save_answer
from percuss.study.answers import Sent
from percuss.study.results.gather import gather, happened
from percuss.study.standing import place


def send(study, number, label, *, reason=""):
    given = {"task": "diagnosis", "label": label, "confidence": 3}
    token = place(study, 1, number).token
    save_answer(study, 1, Sent(id=uuid4(), trial=token, answer=given, reason=reason))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_last_answer_counts_and_the_first_is_kept(kind, tmp_path, request) -> None:
    database = request.getfixturevalue("postgresql_url") if kind == "postgresql" else None
    study, key = make(tmp_path / "study", cases=3, slots=2, database=database)
    try:
        enrol(study, "Ada Quill")
        for number in (1, 2, 3):
            send(study, number, "tumour")
        send(study, 2, "normal", reason="wrong key")
        reads, told = gather(study, key), happened(study, key)
    finally:
        study.database.close()
    assert [(read.reader, read.number, read.answer.label, read.versions) for read in reads] == [
        ("R1", 1, "tumour", 1),
        ("R1", 2, "normal", 2),
        ("R1", 3, "tumour", 1),
    ]
    assert (reads[1].first.label, reads[1].reasons) == ("tumour", ("wrong key",))
    truths = {case.id: case for case in key.frozen.protocol.cases}
    assert all(read.truth == truths[read.trial.case].truth and read.patient for read in reads)
    (correction,) = told.corrections
    assert (correction.reader, correction.number, correction.old["label"]) == ("R1", 2, "tumour")
    assert told.people[0].order == (1, 2, 3)
