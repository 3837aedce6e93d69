"""A study as it is written: nothing outside the sealed key tells arms, and what cannot be a study is refused."""

import dataclasses
import itertools
import os

import pytest
from sqlalchemy import select
from tests.study.small_study import ARMS, make, small_draft

from percuss.core.errors import RunError, UsageError
from percuss.store.blind import leaks
from percuss.store.png import padded
from percuss.study.creating import create_folder
from percuss.study.database import sqlite_url
from percuss.study.design.order import OrderRules
from percuss.study.design.trials import Arm
from percuss.study.opening import open_study
from percuss.study.pictures import even, sha_of
from percuss.study.seal import load_key
from percuss.study.tables import SlotRow
from percuss.study.verification.whole import verify_study

ALL = (*ARMS, Arm(kind="identical"), Arm(kind="visible", size="linf=8/255"))
DRAFT = {
    "cases": 3,
    "tasks": ("diagnosis",),
    "copies": 1,
    "arms": ARMS,
    "rules": None,
    "washout_days": 0,
    "readers": 2,
    "slots": 3,
    "shape": (1, 8, 8),
    "levels": 255,
    "seed": 7,
}


@pytest.fixture
def study(tmp_path):
    made, key = make(tmp_path / "study", arms=ALL, tasks=("diagnosis", "choice", "same", "manipulation"), copies=2)
    yield made, key
    made.database.close()


def told(opened, key):
    """What ``leaks`` finds; names are random digits here, not numbers, and there is no list beside them."""
    arms = {sha: arm for case in key.frozen.protocol.cases for arm, sha in case.images.items()}
    found = leaks(opened.folder.images, {name: arms[sha] for name, sha in key.files.items()})
    return [text for text in found if not text.startswith(("other files", "names that"))]


def test_files_tell_nothing_of_their_arm(study):
    opened, key = study
    assert told(opened, key) == []
    assert all(len(name) == 36 and not set(name[:32]) - set("0123456789abcdef") for name in key.files)
    one = min(opened.folder.images.iterdir())
    whole, time = one.read_bytes(), one.stat().st_mtime_ns
    one.chmod(0o600)
    assert [text.split(" differs")[0] for text in told(opened, key)] == ["the mode"]
    one.chmod(0o644)
    one.write_bytes(whole[:-1] + b"x")
    os.utime(one, ns=(time, time + 1))
    assert [text.split(" differs")[0] for text in told(opened, key)] == ["the time"]
    one.write_bytes(padded(whole, len(whole) + 12))
    assert "the length differs" in str(told(opened, key))
    one.write_bytes(whole)
    os.utime(one, ns=(time, time))
    assert told(opened, key) == []


def test_nothing_but_the_sealed_key_knows_cases_truths_and_arms_of_trials(study):
    opened, key = study
    with opened.database.write():
        pass
    outside = b"".join(path.read_bytes() for path in opened.folder.path.rglob("*") if path.is_file())
    assert len(outside) > 10_000
    for secret in ("case-0", "patient-0", *key.trials.values()):
        assert secret.encode() not in outside, secret
    for sha in key.files.values():
        assert sha.encode() not in outside
    assert load_key(opened.folder) == key
    assert opened.folder.secret_path.parent == opened.folder.path.parent
    assert opened.folder.secret_path.stat().st_mode & 0o777 == 0o600
    assert opened.folder.path.stat().st_mode & 0o077 == 0
    kept = list(opened.folder.path.glob("study.db*"))
    assert kept and all(path.stat().st_mode & 0o077 == 0 for path in kept), "answers, names and logins"


def test_every_slot_holds_every_trial_and_sides_are_those_drawn(study):
    opened, key = study
    by_key = {trial.key: trial for trial in key.frozen.protocol.trials()}
    assert (opened.public.cases, opened.public.trials) == (4, len(by_key))
    with opened.database.read() as session:
        rows = session.scalars(select(SlotRow).order_by(SlotRow.slot, SlotRow.number)).all()
    slots = {slot: list(of) for slot, of in itertools.groupby(rows, key=lambda row: row.slot)}
    assert sorted(slots) == list(range(opened.info.slots)) and len(rows) == 6 * len(by_key)
    for of in slots.values():
        assert sorted(key.trials[row.trial] for row in of) == sorted(by_key)
    for row in rows:
        trial = by_key[key.trials[row.trial]]
        shown = {key.files[row.left_file], key.files[row.right_file]} if row.right_file else {key.files[row.left_file]}
        assert shown == {trial.image, trial.beside} - {""} and row.task == trial.task
    lefts = [key.files[row.left_file] == by_key[key.trials[row.trial]].image for row in rows if row.task == "choice"]
    assert abs(sum(lefts) / len(lefts) - 0.5) < 0.01
    assert verify_study(opened, key=key).sound


def test_one_seed_draws_the_same_orders_under_other_names(tmp_path):
    found = []
    for name in "ab":
        study, key = make(tmp_path / name, seed=3)
        with study.database.read() as session:
            found.append([key.trials[row.trial] for row in session.scalars(select(SlotRow).order_by(SlotRow.slot))])
        found.append(sorted(key.trials))
        study.database.close()
    assert found[0] == found[2] and found[1] != found[3]


def test_shapes_that_differ_still_give_one_length():
    wide = small_draft(**{**DRAFT, "shape": (1, 8, 12)}).pictures
    flat = small_draft(**{**DRAFT, "shape": (1, 7, 8)}).pictures
    mixed = even(wide | flat)
    assert len({len(picture) for picture in (wide | flat).values()}) == 2
    assert len({len(picture) for picture in mixed.values()}) == 1


def test_pictures_that_tell_themselves_apart_are_refused(tmp_path):
    draft = small_draft(**DRAFT)
    sha, picture = next(iter(draft.pictures.items()))
    with pytest.raises(UsageError, match=r"different length would tell.*pictures\.even"):
        longer = {other: one for other, one in draft.pictures.items() if other != sha}
        changed = draft.protocol.model_dump(mode="json")
        changed["cases"] = [
            {**case, "images": {arm: sha_of(picture + b"x") if of == sha else of for arm, of in case["images"].items()}}
            for case in changed["cases"]
        ]
        protocol = type(draft.protocol).model_validate(changed)
        pictures = {**longer, sha_of(picture + b"x"): picture + b"x"}
        create_folder(tmp_path / "study", dataclasses.replace(draft, protocol=protocol, pictures=pictures))
    for pictures in ({**draft.pictures, sha: picture + b"x"}, {}):
        with pytest.raises(UsageError, match="a picture of the study is missing"):
            create_folder(tmp_path / "study", dataclasses.replace(draft, pictures=pictures))
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    draft = small_draft(**DRAFT)
    with pytest.raises(UsageError, match="no URL of a database"):
        create_folder(tmp_path / "study", draft, database="rubbish")
    with pytest.raises(RunError, match="cannot be used"):
        create_folder(tmp_path / "study", draft, database=f"sqlite:///{tmp_path}/none/x.db")
    monkeypatch.setattr("percuss.study.creating.write_picture", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        create_folder(tmp_path / "study", draft)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    study, _ = create_folder(tmp_path / "study", draft)
    study.database.close()


def test_the_environment_names_the_database_of_a_new_study_too(tmp_path, monkeypatch):
    monkeypatch.setenv("PERCUSS_STUDY_DATABASE", sqlite_url(tmp_path / "elsewhere.db"))
    study, _ = make(tmp_path / "study")
    assert not study.folder.database_path.exists() and study.info.database.endswith("elsewhere.db")
    study.database.close()
    monkeypatch.delenv("PERCUSS_STUDY_DATABASE")
    open_study(tmp_path / "study").database.close()


def test_a_relative_file_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, _ = make(tmp_path / "study", database="sqlite:///near.db")
    study.database.close()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    open_study(tmp_path / "study").database.close()
    assert (tmp_path / "near.db").exists() and not (tmp_path / "deep" / "near.db").exists()


def test_tiles_of_a_large_case_are_one_picture(tmp_path):
    draft = small_draft(**{**DRAFT, "rules": OrderRules(distance=1)})
    tiled = {sha: {"0/0_0.png": picture, "0/1_0.png": picture[::-1]} for sha, picture in draft.pictures.items()}
    cases = [
        {**case.model_dump(), "images": {arm: sha_of(tiled[sha]) for arm, sha in case.images.items()}}
        for case in draft.protocol.cases
    ]
    protocol = type(draft.protocol).model_validate({**draft.protocol.model_dump(mode="json"), "cases": cases})
    pictures = {sha_of(tiles): tiles for tiles in tiled.values()}
    study, key = create_folder(tmp_path / "study", dataclasses.replace(draft, protocol=protocol, pictures=pictures))
    assert verify_study(study, key=key).sound
    folder = study.folder.images / min(key.files)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == ["0/0_0.png", "0/1_0.png"]
    (folder / "0" / "1_0.png").write_bytes(b"")
    assert f"images/{folder.name}: not as it was written" in verify_study(study, key=key).faults
    study.database.close()


def test_the_packages_of_the_extra_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("percuss.study.extra.find_spec", lambda name: None if name == "alembic" else name)
    for act in (lambda: make(tmp_path / "study"), lambda: open_study(tmp_path / "study")):
        with pytest.raises(UsageError, match=r"not installed: alembic.*pip install 'percuss\[study\]'"):
            act()
