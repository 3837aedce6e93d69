"""What keeps rows as they are is looked after too: a trigger that is gone, altered or switched off is a fault."""

import pytest
from sqlalchemy import text
from tests.study.reading import enrolled, read, two_sessions

from percuss.study.migrations.versions.s0002_only_grow import GROWING
from percuss.study.opening import open_study
from percuss.study.verification.whole import verify_study


@pytest.fixture
def study(tmp_path):
    opened = two_sessions(tmp_path)
    read(opened, enrolled(opened), 1, 2)
    yield opened
    opened.database.close()


@pytest.fixture
def served(tmp_path, postgresql_url):
    """The same on a real PostgreSQL."""
    opened = two_sessions(tmp_path, database=postgresql_url)
    read(opened, enrolled(opened), 1, 2)
    yield opened
    opened.database.close()


def faults(study, *acts):
    with study.database.write() as session:
        for act in acts:
            session.execute(text(act))
    return verify_study(study).faults


def missing(name):
    return f"the database: trigger {name}, which keeps rows as they are, is missing"


def altered(name):
    return f"the database: trigger {name}, which keeps rows as they are, was altered or switched off"


@pytest.mark.parametrize("table", GROWING)
@pytest.mark.parametrize("act", ["no_update", "no_delete", "no_replace"])
def test_in_sqlite_a_trigger_that_is_gone_is_named(study, table, act):
    assert faults(study) == ()
    assert faults(study, f"DROP TRIGGER {table}_{act}") == (missing(f"{table}_{act}"),)


@pytest.mark.parametrize(
    "weaker",
    [
        "CREATE TRIGGER answers_no_update BEFORE UPDATE ON answers BEGIN SELECT 1; END",
        "CREATE TRIGGER answers_no_update BEFORE UPDATE ON answers WHEN 0 "
        "BEGIN SELECT RAISE(ABORT, 'the table answers only grows'); END",
        "CREATE TRIGGER answers_no_update BEFORE UPDATE OF reason ON answers "
        "BEGIN SELECT RAISE(ABORT, 'the table answers only grows'); END",
    ],
)
def test_in_sqlite_one_that_does_less_is_named(study, weaker):
    assert faults(study, "DROP TRIGGER answers_no_update", weaker) == (altered("answers_no_update"),)


def test_a_table_made_anew_has_lost_all_of_its_own(study):
    found = faults(
        study,
        "CREATE TABLE copied AS SELECT * FROM overrides",
        "DROP TABLE overrides",
        "ALTER TABLE copied RENAME TO overrides",
    )
    assert found == tuple(missing(f"overrides_{act}") for act in ("no_update", "no_delete", "no_replace"))


def again(name, act):
    """A trigger of PostgreSQL dropped and made anew."""
    table = name.partition("_")[0]
    return (f"DROP TRIGGER {name} ON {table}", f"CREATE TRIGGER {name} {act} EXECUTE FUNCTION percuss_only_grows()")


NOTHING = (
    "CREATE OR REPLACE FUNCTION percuss_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"
)
EVERY = tuple(f"{table}_{act}" for table in GROWING for act in ("no_change", "no_truncate"))
CHANGES, EMPTIES = "answers_no_change", "slots_no_truncate"
POSTGRESQL = {
    "disabled": ((f"ALTER TABLE answers DISABLE TRIGGER {CHANGES}",), (CHANGES,)),
    "for replicas alone": ((f"ALTER TABLE answers ENABLE REPLICA TRIGGER {CHANGES}",), (CHANGES,)),
    "for replicas too": ((f"ALTER TABLE answers ENABLE ALWAYS TRIGGER {CHANGES}",), ()),
    "a whole table": (("ALTER TABLE trail DISABLE TRIGGER USER",), ("trail_no_change", "trail_no_truncate")),
    "another act": (again(EMPTIES, "BEFORE INSERT ON slots FOR EACH STATEMENT"), (EMPTIES,)),
    "on a condition": (again(CHANGES, "BEFORE DELETE OR UPDATE ON answers FOR EACH ROW WHEN (false)"), (CHANGES,)),
    "one column": (again(CHANGES, "BEFORE DELETE OR UPDATE OF reason ON answers FOR EACH ROW"), (CHANGES,)),
    "as it was": (again(CHANGES, "BEFORE DELETE OR UPDATE ON answers FOR EACH ROW"), ()),
    "what it does": ((NOTHING,), EVERY),
}


@pytest.mark.parametrize("case", POSTGRESQL)
def test_in_postgresql_one_that_is_altered_or_switched_off_is_named(served, case):
    acts, named = POSTGRESQL[case]
    assert faults(served) == ()
    assert faults(served, *acts) == tuple(map(altered, named))


def test_in_postgresql_one_that_is_gone_is_named(served):
    gone = [f"DROP TRIGGER {name} ON {name.partition('_')[0]}" for name in EVERY]
    assert faults(served, *gone) == tuple(map(missing, EVERY))


def test_in_postgresql_a_database_in_which_none_fires_is_no_sound_study(served, postgresql_url):
    name = postgresql_url.rpartition("/")[2]
    assert faults(served, f"ALTER DATABASE {name} SET session_replication_role = replica") == ()  # from now on
    served.database.close()
    again = open_study(served.folder.path)
    (found,) = verify_study(again).faults
    again.database.close()
    assert "session_replication_role is replica, which switches every trigger off" in found
