"""Simulated readers take part over HTTP: they see what the bytes show, and a bad network costs or adds no answer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select
from tests.study import small_study

from percuss.core.errors import DataError
from percuss.study.access import enrol
from percuss.study.answers import as_json
from percuss.study.design.trials import Arm
from percuss.study.tables import AnswerRow, PlaceRow
from percuss.testing.faults import Faults, FaultyTransport
from percuss.testing.perception import Perception, Sight
from percuss.testing.simulated_readers import SimulatedReader, oracle_of, take_part
from percuss.testing.study_client import Denied, StudyClient

SIZE = small_study.SIZE
TASKS = ("diagnosis", "choice", "same")
ARMS = (*small_study.ARMS, Arm(kind="identical", tasks=("same",)))
RIGHT = {arm.name: {"normal": 0.8, "tumour": 0.7} for arm in small_study.ARMS}


@pytest.fixture
def study(tmp_path) -> Iterator[tuple]:
    made, key = small_study.make(tmp_path / "study", cases=3, tasks=TASKS, arms=ARMS)
    yield made, key
    made.database.close()


def test_the_oracle_sees_what_the_bytes_show(study) -> None:
    made, key = study
    oracle = oracle_of(key)
    named = {sha: (made.folder.images / name).read_bytes() for name, sha in key.files.items()}
    case = key.frozen.protocol.cases[1]
    original, changed, noise = (named[case.images[arm]] for arm in ("original", f"adversarial {SIZE}", f"noise {SIZE}"))
    assert oracle.sight("diagnosis", [changed]) == Sight("diagnosis", "case-1", f"adversarial {SIZE}", truth="tumour")
    assert oracle.sight("choice", [original, changed]).side == "right"
    assert oracle.sight("choice", [noise, original]) == Sight(
        "choice", "case-1", f"noise {SIZE}", truth="tumour", side="left"
    )
    assert oracle.sight("same", [original, original]).arm == "identical"
    other = named[key.frozen.protocol.cases[0].images["original"]]
    for task, images in (("choice", [changed, noise]), ("choice", [other, changed]), ("diagnosis", [changed, noise])):
        with pytest.raises(DataError):
            oracle.sight(task, images)
    with pytest.raises(DataError, match="no image of the study"):
        oracle.sight("diagnosis", [changed + b"x"])


def test_two_readers_on_a_bad_network_are_counted_once(study, live_server) -> None:
    made, key = study
    people = [enrol(made, name) for name in ("A", "B")]
    server = live_server(made)

    def read(number: int) -> list:
        reader = SimulatedReader(Perception({f"adversarial {SIZE}": 2.0}, RIGHT, seed=number), oracle_of(key))
        faults = Faults(lost=0.1, unanswered=0.2, twice=0.3, delay=0.01, seed=number)
        with StudyClient(server.url, faults=faults) as client:
            assert client.log_in(people[number].code)["name"] == "AB"[number]
            done = take_part(client, reader)
            assert client.standing()["phase"] == "finished" and client.tries > 3 * len(done)
        return done

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(read, range(2)))
    with made.database.read() as session:
        rows = session.scalars(select(AnswerRow)).all()
        places = {(row.reader, row.number): row.trial for row in session.scalars(select(PlaceRow))}
    assert len(rows) == 2 * len(key.trials) == sum(map(len, both))
    said = {str(item.sent.id): (item.number, item.version, as_json(item.sent.answer)) for part in both for item in part}
    assert {row.id: (row.number, row.version, row.answer) for row in rows} == said
    # What each reader answered is what its perception says of the trial that stood there in its order.
    trials = {trial.key: trial for trial in key.frozen.protocol.trials()}
    for row in rows:
        trial = trials[key.trials[places[row.reader, row.number]]]
        reader = Perception({f"adversarial {SIZE}": 2.0}, RIGHT, seed=row.reader - min(r.reader for r in rows))
        if trial.task == "diagnosis":
            truth = next(case.truth for case in key.frozen.protocol.cases if case.id == trial.case)
            sight = Sight(trial.task, trial.case, trial.arm, truth=truth, copy=trial.copy_number)
            assert row.answer == as_json(reader.answer(sight, small_study.LABELS))


def test_a_refusal_says_what_the_server_said(study, live_server) -> None:
    server = live_server(study[0])
    with StudyClient(server.url) as client:
        with pytest.raises(Denied) as refused:
            client.log_in("K7QM-2XPD-9RTA-0000")
        assert refused.value.status == 401 and refused.value.code == "wrong-secret"
        with pytest.raises(Denied):
            client.standing()


def test_faults_happen_as_often_as_asked() -> None:
    reached = []

    def answer(request: httpx.Request) -> httpx.Response:
        reached.append(request.content)
        return httpx.Response(200)

    network = FaultyTransport(httpx.MockTransport(answer), Faults(lost=0.2, unanswered=0.3, twice=0.25, seed=3))
    replies = 0
    with httpx.Client(transport=network) as client:
        for number in range(400):
            try:
                replies += client.post("http://study/", content=str(number).encode()).status_code == 200
            except httpx.TransportError:
                continue
    lost, unanswered, twice = network.counts["lost"], network.counts["unanswered"], network.counts["twice"]
    assert 50 < lost < 110 and 60 < unanswered < 135 and 50 < twice < 115
    assert replies == 400 - lost - unanswered and len(reached) == 400 - lost + twice
