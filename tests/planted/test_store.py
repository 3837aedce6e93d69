"""The checks of the store and of the resume are seen failing on planted faults."""

import pandas as pd
import pytest

from percuss.core.errors import RunError
from percuss.store import safe
from percuss.store.folder import RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.start(tmp_path / "run", {"seed": "0"})
    yield folder
    folder.close()


def test_a_disk_that_loses_bytes_is_noticed_at_once(run, monkeypatch):
    real = safe.os.fsync

    def lose(handle):
        safe.os.ftruncate(handle, 1)
        real(handle)

    monkeypatch.setattr(safe.os, "fsync", lose)
    with pytest.raises(RunError, match="reads back differently"):
        run.write("a.txt", "content")


def test_one_flipped_bit_in_a_part_is_noticed(run):
    run.write_table("parts/k.parquet", pd.DataFrame({"eps": [float(i) for i in range(400)]}))
    path = run.path / "parts" / "k.parquet"
    assert run.read_part("k") is not None
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(bytes(content))
    assert run.read_part("k") is None


def test_a_half_written_part_is_noticed(run):
    run.write_table("parts/k.parquet", pd.DataFrame({"eps": [1.0, 2.0]}))
    path = run.path / "parts" / "k.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert run.read_part("k") is None


def test_an_identity_that_forgets_the_seed_would_mix_runs(run):
    run.write_table("parts/k.parquet", pd.DataFrame({"eps": [1.0]}))
    run.close()
    again = RunFolder.start(run.path, {"seed": "0"})
    again.close()
    with pytest.raises(RunError, match="seed was 0, is now absent"):
        RunFolder.start(run.path, {})
