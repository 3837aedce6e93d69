import errno
import io
import os
import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from percuss.core.errors import RunError
from percuss.core.images import PixelRange
from percuss.store import safe
from percuss.store.folder import RunFolder, check_free
from percuss.store.png import encode, slug

IDENTITY = {"seed": "0", "attacks": "pgd"}


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.start(tmp_path / "run", IDENTITY)
    yield folder
    folder.close()


def test_same_identity_goes_on_other_is_refused_by_name(run, tmp_path):
    run.close()
    again = RunFolder.start(run.path, IDENTITY)
    assert again.run_id == run.run_id and not again.finished
    again.close()
    again.write_table("parts/k.parquet", pd.DataFrame({"eps": [1.0]}))
    with pytest.raises(RunError, match=r"another run.*seed was 0, is now 1.*new folder with --out"):
        RunFolder.start(run.path, IDENTITY | {"seed": "1"})


def test_a_run_without_a_finished_part_may_be_replaced(run):
    run.close()
    other = RunFolder.start(run.path, IDENTITY | {"seed": "1"})
    assert other.run_id != run.run_id
    other.close()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty and holds no run: .*notes.txt"):
        RunFolder.start(tmp_path, IDENTITY)
    with pytest.raises(RunError, match="must be a folder"):
        check_free(tmp_path / "notes.txt")
    with pytest.raises(RunError, match="holds no run"):
        RunFolder.existing(tmp_path)


def test_the_run_one_folder_below_is_named(tmp_path):
    RunFolder.start(tmp_path / "demo" / "run", IDENTITY).close()
    with pytest.raises(RunError, match="holds no run") as caught:
        RunFolder.existing(tmp_path / "demo")
    assert caught.value.next_step == f"name {tmp_path / 'demo' / 'run'}"


def test_left_over_scratch_of_a_kill_before_the_manifest_is_no_content(tmp_path):
    (tmp_path / ".percuss-abc").write_bytes(b"half")
    folder = RunFolder.start(tmp_path, IDENTITY)
    assert not (tmp_path / ".percuss-abc").exists()
    folder.close()


def test_two_processes_do_not_share_a_folder(run):
    with pytest.raises(RunError, match="another process works"):
        RunFolder.start(run.path, IDENTITY)


def test_damaged_manifest_is_named(run):
    run.close()
    (run.path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="not one of a run"):
        RunFolder.start(run.path, IDENTITY)


def test_full_disk_says_the_run_can_go_on(run, monkeypatch):
    run.write("a.txt", "old")

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="disk is full.*same command again"):
        run.write("a.txt", "new")
    assert (run.path / "a.txt").read_text() == "old"
    assert not [p for p in run.path.iterdir() if p.name.startswith(".percuss-") and p.name != ".percuss-lock"]


def test_unwritable_folder(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(safe.tempfile, "mkstemp", refuse)
    with pytest.raises(RunError, match=r"cannot be written: Permission denied.*--out"):
        safe.write_bytes(tmp_path / "x", b"1")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=re.escape("cannot be written")):
        safe.write_bytes(tmp_path / "file" / "x", b"1")


def test_finish_hashes_every_file_and_finds_damage(run):
    run.write("images/a.png", b"1")
    run.write("parts/p.parquet", b"2")
    run.finish()
    assert set(run.manifest["files"]) == {"images/a.png"} and run.damaged() == []
    (run.path / "images" / "a.png").write_bytes(b"x")
    assert run.damaged() == ["images/a.png"]
    run.reopen()
    assert not RunFolder.existing(run.path).finished


def test_part_with_a_missing_or_changed_image_must_be_computed_again(run):
    digest = run.write("parts/k/a.png", b"png")
    run.write_table("parts/k.parquet", pd.DataFrame({"image": ["parts/k/a.png", ""], "image_sha256": [digest, ""]}))
    assert run.read_part("k") is not None and run.read_part("other") is None
    (run.path / "parts" / "k" / "a.png").write_bytes(b"changed")
    assert run.read_part("k") is None


def test_missing_table(run):
    with pytest.raises(RunError, match="missing or damaged"):
        run.read_table("rows.parquet")


@pytest.mark.parametrize(("channels", "levels"), [(1, 255), (3, 255), (1, 65535), (1, 4095), (3, 65535)])
def test_png_holds_every_level_exactly(channels, levels):
    rng = np.random.default_rng(0)
    values = rng.integers(0, levels + 1, (channels, 5, 7))
    content = encode(torch.from_numpy(values / levels).float(), PixelRange(0, levels))
    with Image.open(io.BytesIO(content)) as image:
        got = np.asarray(image)
    want = values.transpose(1, 2, 0).squeeze() if channels == 1 else values.transpose(1, 2, 0)
    if channels == 3 and levels > 255:
        want = want >> 8  # the imaging library shows 16-bit colour in 8
    assert np.array_equal(got, want)


def test_png_refuses_what_it_cannot_hold():
    with pytest.raises(RunError, match="cannot be stored as PNG"):
        encode(torch.zeros(2, 4, 4), PixelRange())
    assert slug("a/b\\c.png") == "a__b__c.png"


@pytest.mark.parametrize(
    ("identity", "command"),
    [({"attacks": "{}"}, "audit"), ({"command": "transfer"}, "transfer"), ({"recipe": "foote"}, "reproduce")],
)
def test_what_to_do_next_names_the_command_of_the_folder(tmp_path, identity, command):
    folder = RunFolder.start(tmp_path / "run", identity)
    with pytest.raises(RunError, match=f"the same percuss {command} command again"):
        folder.read_table("rows.parquet")
    folder.close()
