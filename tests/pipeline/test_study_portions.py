"""A study is made portion by portion: whatever their size the same files, and one bad image costs that image alone."""

import shutil
import weakref

import pytest
from test_native import Mean, Scans

from percuss.core.errors import DataError, RunError
from percuss.pipeline import study_create as creating
from percuss.pipeline import study_files
from percuss.pipeline.interface import audit
from percuss.pipeline.study_create import create_study
from percuss.pipeline.study_files import portions
from percuss.store.png import slug
from percuss.study import creating as folder_creating
from percuss.study.folder import StudyFolder
from percuss.study.seal import load_key

GIVEN = {"cases": 6, "seed": 1}
FOOTE = {"preset": "foote", "cases": 3, "seed": 1, "budgets": "linf=30HU"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    out = tmp_path_factory.mktemp("scans") / "run"
    return audit(data=Scans(), model=Mean(), out=out, budgets=["linf=10HU,30HU"], attacks="pgd", checks="off")


def key_of(made):
    return load_key(StudyFolder(made.path))


def test_portions_are_small_where_images_are_large():
    ids = [str(number) for number in range(70)]
    assert [len(part) for part in portions(ids, (1, 96, 96))] == [32, 32, 6]
    assert [len(part) for part in portions(ids, (3, 512, 512))] == [10] * 7
    assert [len(part) for part in portions(ids, (1, 9000, 9000))] == [1] * 70
    assert [name for part in portions(ids, (3, 512, 512)) for name in part] == ids


def test_portions_make_no_difference_and_one_is_held_at_a_time(scans, tmp_path, monkeypatch):
    source = {"data": Scans(), "model": Mean()}
    whole = key_of(create_study(scans.path, out=tmp_path / "whole", **source, **GIVEN))
    held, alive, real = [], [], creating.make_files

    def watched(making, ids):
        alive.append(sum(one() is not None for one in held))
        portion = real(making, ids)
        held.append(weakref.ref(portion))
        return portion

    monkeypatch.setattr(study_files, "ROOM", 1)
    monkeypatch.setattr(creating, "make_files", watched)
    parted = key_of(create_study(scans.path, out=tmp_path / "parted", **source, **GIVEN))
    assert alive == [0] * 6
    assert parted.frozen == whole.frozen
    assert [case.model_dump(exclude={"model"}) for case in parted.cases] == [
        case.model_dump(exclude={"model"}) for case in whole.cases
    ]
    for one, two in zip(parted.cases, whole.cases, strict=True):
        for arm, said in one.model.items():
            assert said.label == two.model[arm].label and said.confidence == pytest.approx(two.model[arm].confidence)


def test_files_are_written_in_the_order_of_their_hashes(scans, tmp_path, monkeypatch):
    written, real = [], folder_creating.write_picture

    def noted(path, picture):
        written.append(path.name)
        real(path, picture)

    monkeypatch.setattr(folder_creating, "write_picture", noted)
    monkeypatch.setattr(study_files, "ROOM", 1)
    key = key_of(create_study(scans.path, out=tmp_path / "study", data=Scans(), model=Mean(), **GIVEN))
    shas = [key.files[name] for name in written]
    assert shas == sorted(shas) and len(shas) == 6 * 5


def failing_for(*names, error):
    """``study_files._kept``, with files that fail once the run is open: its hashes are looked at before."""
    real = study_files._kept

    def kept(found, name):
        if name in names:
            raise error
        return real(found, name)

    return kept


def test_a_run_whose_files_were_touched_is_refused_before_anything_is_made(scans, tmp_path):
    shutil.copytree(scans.path, tmp_path / "run")
    (tmp_path / "run/images/original/s1.png").unlink()
    with pytest.raises(RunError, match=r"files of the run are gone or changed.*1 files, first images/original/s1\.png"):
        create_study(tmp_path / "run", out=tmp_path / "study", **FOOTE)


def test_a_file_of_the_run_that_fails_later_costs_its_case_alone(scans, tmp_path, monkeypatch):
    chosen = [case.id for case in key_of(create_study(scans.path, out=tmp_path / "first", **FOOTE)).cases]
    gone = OSError(5, "Input/output error")
    monkeypatch.setattr(study_files, "_kept", failing_for(f"images/original/{slug(chosen[0])}.png", error=gone))
    made = create_study(scans.path, out=tmp_path / "study", **FOOTE)
    key = key_of(made)
    cases = [case.id for case in key.cases]
    assert cases[:2] == chosen[1:] and len(cases) == 3 and chosen[0] not in cases
    assert key.left_out == {chosen[0]: "its file in the run cannot be used (Input/output error)"}
    assert made.words[-2] == f"{chosen[0]} was left out: its file in the run cannot be used (Input/output error)"


class Failing(Scans):
    """One image can no longer be read, which its fingerprint does not tell."""

    bad = ""

    def read(self, case_id):
        if case_id == self.bad:
            raise DataError("the disk does not answer", value=case_id)
        return super().read(case_id)

    def subset(self, split=None, ids=None):
        found = Failing(self.pixels, ids)
        found.bad = self.bad
        return found


def test_an_image_that_cannot_be_read_any_more_is_left_out_by_name(scans, tmp_path):
    first = key_of(create_study(scans.path, out=tmp_path / "first", data=Scans(), model=Mean(), **GIVEN))
    data = Failing()
    data.bad = first.cases[0].id
    made = create_study(scans.path, out=tmp_path / "study", data=data, model=Mean(), **GIVEN)
    key = key_of(made)
    assert len(key.cases) == 6 and data.bad not in {case.id for case in key.cases}
    others = {case.id: case.images for case in first.frozen.protocol.cases}
    same = [case for case in key.frozen.protocol.cases if others.get(case.id) == case.images]
    assert len(same) == 5, "the others are as they were"
    assert list(key.left_out) == [data.bad] and "the disk does not answer" in key.left_out[data.bad]
    assert any(line.startswith(f"{data.bad} was left out: its image cannot be read any more") for line in made.words)


def test_where_too_few_are_left_the_reasons_are_counted(scans, tmp_path, monkeypatch):
    names = [f"images/original/s{number}.png" for number in range(20)]
    error = RunError("a kept image is gone or changed", value="s", next_step="audit again")
    monkeypatch.setattr(study_files, "_kept", failing_for(*names, error=error))
    with pytest.raises(RunError, match=r"too few cases.* left out: its file in the run cannot be used\. Next"):
        create_study(scans.path, out=tmp_path / "study", **FOOTE)
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_told_after_the_first_portion(scans, tmp_path, monkeypatch):
    made, real = [], creating.make_files
    monkeypatch.setattr(creating, "make_files", lambda *given: (made.append(1), real(*given))[1])
    monkeypatch.setattr(study_files, "ROOM", 1)
    room = shutil.disk_usage(tmp_path)._replace(free=20_000)
    monkeypatch.setattr("percuss.study.spool.shutil.disk_usage", lambda _: room)
    with pytest.raises(RunError, match=r"no room for the study: 0 MiB more are needed, 0 MiB are free"):
        create_study(scans.path, out=tmp_path / "study", data=Scans(), model=Mean(), **GIVEN)
    assert made == [1] and not list(tmp_path.iterdir())
    monkeypatch.setattr("percuss.study.spool.shutil.disk_usage", lambda _: room._replace(free=60_000))
    create_study(scans.path, out=tmp_path / "study", data=Scans(), model=Mean(), **GIVEN)


def test_many_left_out_are_named_in_the_key_and_counted_in_words():
    words = creating._left_out({f"s{number}": "why" for number in range(13)})
    assert len(words) == 11 and words[-1] == "3 more were left out; the key names them"
    assert creating._left_out({}) == []


@pytest.mark.parametrize("in_region", [True, False])
def test_noise_needs_the_region_of_the_run(in_region):
    making = type("Making", (), {"in_region": in_region})()
    portion = study_files.Portion({}, None, {})
    if not in_region:
        assert study_files._region(making, portion) is None
        return
    with pytest.raises(RunError, match="images and model of the run are needed"):
        study_files._region(making, portion)
