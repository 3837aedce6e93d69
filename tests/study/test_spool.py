"""Pictures on the disk until a study is written."""

import tracemalloc

import pytest

from percuss.core.errors import RunError
from percuss.study.pictures import sha_of
from percuss.study.spool import Spool

TILES = {"0/0_0.png": b"one", "1/0_0.png": b"three"}


def test_pictures_come_back_by_their_hash(tmp_path):
    with Spool(tmp_path / "pictures") as spool:
        shas = [spool.add(picture) for picture in (b"a file", TILES, b"", b"a file")]
        assert shas == [sha_of(picture) for picture in (b"a file", TILES, b"", b"a file")]
        assert [spool[sha] for sha in shas] == [b"a file", TILES, b"", b"a file"]
        assert list(spool) == shas[:3] and len(spool) == 3 and spool.get("none") is None
        assert spool.add({place: tile * 2 for place, tile in TILES.items()}) in spool
        assert spool[shas[1]] == TILES
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
    assert (tmp_path / "pictures").stat().st_mode & 0o077 == 0


def test_what_reads_back_otherwise_is_refused(tmp_path):
    with Spool(tmp_path / "pictures") as spool:
        sha = spool.add(b"a file")
        (tmp_path / "pictures").write_bytes(b"a fine")
        with pytest.raises(RunError, match="reads back differently"):
            spool[sha]


def test_pictures_are_not_held_in_memory(tmp_path):
    tracemalloc.start()
    try:
        with Spool(tmp_path / "pictures") as spool:
            for number in range(40):
                spool.add(bytes([number]) * 2**20)
            assert sum(len(picture) for picture in spool.values()) == 40 * 2**20
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * 2**20


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "pictures").write_bytes(b"of somebody")
    with pytest.raises(RunError, match="cannot be written"):
        Spool(tmp_path / "pictures")
