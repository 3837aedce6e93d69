"""Size and tiles of an image are read from its files, and files of several lengths are refused."""

from __future__ import annotations

import pytest
import torch
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.core.errors import RunError
from percuss.core.pixel_range import PixelRange
from percuss.store.png import encode, uncompressed
from percuss.study.app.pictures import Geometry, check_lengths, geometry
from percuss.study.pictures import even


def png(height, width, *, channels=1, levels=255):
    return uncompressed(encode(torch.zeros(channels, height, width), PixelRange(0, levels)))


def tiled(folder, height, width, *, size, levels=255):
    """Tiles as study create writes them: those at the right and lower edge of their own size, all of one length."""
    tiles, level = {}, 0
    while max(-(-height >> level), -(-width >> level)) > size:
        level += 1
    for at in range(level + 1):
        high, wide = -(-height // 2 ** (level - at)), -(-width // 2 ** (level - at))
        for y in range(0, high, size):
            for x in range(0, wide, size):
                tile = png(min(size, high - y), min(size, wide - x), levels=levels)
                tiles[f"{at}/{x // size}_{y // size}.png"] = tile
    for name, content in even(tiles).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return tiles


@pytest.mark.parametrize(("channels", "levels", "bits"), [(1, 255, 8), (3, 255, 8), (1, 4095, 16), (3, 65535, 16)])
def test_a_single_file(tmp_path, channels, levels, bits):
    (tmp_path / "a.png").write_bytes(png(5, 7, channels=channels, levels=levels))
    assert geometry(tmp_path / "a.png") == Geometry(7, 5, channels, bits)


@pytest.mark.parametrize(("height", "width"), [(70, 100), (64, 64), (16, 16), (3, 100), (100, 3), (33, 17)])
def test_tiles(tmp_path, height, width):
    tiles = tiled(tmp_path / "a", height, width, size=16)
    found = geometry(tmp_path / "a")
    assert (found.width, found.height, found.levels) == (width, height, len({name.split("/")[0] for name in tiles}))
    assert found.tile == min(16, max(height, width))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"x" * 40])
def test_what_is_no_picture_is_said(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / "b").mkdir()
    for name in ("a.png", "b", "none.png"):
        with pytest.raises(RunError, match="cannot be read"):
            geometry(tmp_path / name)


def test_files_of_two_lengths_are_not_served(tmp_path):
    from percuss.study.app.server import create_app

    study, _ = make(tmp_path / "study")
    assert check_lengths(study.folder.images) > 64
    one = next(study.folder.images.iterdir())
    one.write_bytes(one.read_bytes() + b"\0")
    with pytest.raises(RunError, match="not of one length"):
        create_app(study)
    study.database.close()


def test_tiles_are_served_and_the_whole_is_not(tmp_path):
    study, _ = make(tmp_path / "study", cases=2)
    for path in list(study.folder.images.iterdir()):
        path.unlink()
        tiled(path, 70, 100, size=16)
    with serving(study) as served:
        ada = served.enrolled()
        image = ada.get("/api/v1/trials/next").json()["images"][0]
        assert (image["width"], image["height"], image["tiles"]) == (100, 70, {"size": 16, "levels": 4})
        lengths = {
            ada.get(f"{image['url']}/tiles/3/{x}/{y}").headers["content-length"] for x in range(7) for y in (0, 4)
        }
        assert len(lengths) == 1
        statuses = [
            ada.get(f"{image['url']}/tiles/{place}").status_code
            for place in ("0/0/0", "3/7/0", "3/0/5", "4/0/0", f"3/{'9' * 300}/0")
        ]
        assert statuses == [200, 404, 404, 404, 404]
        assert ada.get(image["url"]).status_code == 404
