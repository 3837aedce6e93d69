"""A server that is killed again and again loses no answer it acknowledged, counts none twice and invents none."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.study import small_study
from tests.study.conftest import absent
from tests.study.live import PATIENCE
from tests.study.postgresql import binaries, start_cluster

from percuss.study.access import enrol
from percuss.testing.faults import Faults
from percuss.testing.study_load import Account, Crowd, account

READERS, KILLS = 8, 3


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """None for SQLite in the folder, or the URL of a real PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


def test_no_acknowledged_answer_is_lost_when_the_server_is_killed(tmp_path, database, live_server) -> None:
    study, _ = small_study.make(tmp_path / "study", cases=4, readers=READERS, slots=READERS, database=database)
    codes = [enrol(study, f"reader {number}").code for number in range(READERS)]
    server = live_server(study)
    faults = Faults(lost=0.03, unanswered=0.05, twice=0.1)
    crowd = Crowd(server.url, codes, corrected=0.1, faults=faults, patience=PATIENCE)
    crowd.start()
    for kill in range(1, KILLS + 1):
        assert crowd.wait_for(kill * 20)
        server.kill()
        server.start()
    crowd.finish()
    found = account(study, crowd.journal)
    assert found.sound and found.stored == len(crowd.journal.acknowledged) == len(crowd.journal.sent)
    assert found.stored > READERS * 12
    study.database.close()


def test_no_acknowledged_answer_is_lost_when_the_database_crashes(tmp_path, live_server) -> None:
    if binaries() is None:
        absent("PostgreSQL's server", "PERCUSS_POSTGRESQL", "postgresql")
    cluster = start_cluster()
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PERCUSS_STUDY_DATABASE_PASSWORD", cluster.password)
            study, _ = small_study.make(tmp_path / "study", cases=3, readers=4, slots=4, database=cluster.database())
            codes = [enrol(study, f"reader {number}").code for number in range(4)]
            crowd = Crowd(live_server(study).url, codes, patience=PATIENCE)
            crowd.start()
            for crash in (1, 2):
                assert crowd.wait_for(crash * 10)
                cluster.crash()
                cluster.again()
            crowd.finish()
            found = account(study, crowd.journal)
            assert found == Account(stored=4 * 9, lost=0, twice=0, invented=0)
            study.database.close()
    finally:
        cluster.stop()


def test_the_account_notices_what_is_lost_doubled_or_invented(tmp_path, live_server) -> None:
    study, _ = small_study.make(tmp_path / "study", cases=2)
    crowd = Crowd(live_server(study).url, [enrol(study, "A").code])
    crowd.start()
    crowd.finish()
    journal = crowd.journal
    assert account(study, journal) == Account(stored=6, lost=0, twice=0, invented=0)
    journal.sent.pop()
    assert account(study, journal) == Account(stored=6, lost=0, twice=0, invented=1)
    # Somebody who may do anything with the file removes what should keep answers as they are.
    with study.database.write() as session:
        for (name,) in session.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text("DELETE FROM answers WHERE number = 1"))
        session.execute(text("UPDATE answers SET version = 2 WHERE number = 2"))
        session.execute(text("UPDATE answers SET number = 4, version = 2 WHERE number = 3"))
    assert account(study, journal) == Account(stored=5, lost=3, twice=1, invented=1)
    study.database.close()
