"""Large cases in tiles: the pixels come back, levels are means, files have one length."""

import numpy as np
import torch

from percuss.core.images import PixelRange
from percuss.data.decode import Reading, decode
from percuss.pipeline import study_tiles
from percuss.pipeline.study_tiles import halved, picture_of, tiles_of
from percuss.store.png import encode, uncompressed
from percuss.study.app.pictures import geometry
from percuss.study.pictures import sha_at, sha_of, write_picture

DEEP = PixelRange(-1000, 3095, 1, "HU")


def picture(high, wide, seed=0):
    values = torch.from_numpy(np.random.default_rng(seed).integers(0, 4096, (1, high, wide)) / 4095)
    return uncompressed(encode(values, DEEP))


def values(png):
    return np.asarray(decode(png, "a", Reading())[0])


def test_the_last_level_is_the_picture_and_level_0_one_tile():
    png = picture(70, 45)
    tiles = tiles_of(png, DEEP, side=16)
    whole, seen = values(png), {}
    for place, tile in tiles.items():
        level, x, y = map(int, place.removesuffix(".png").replace("/", "_").split("_"))
        seen.setdefault(level, {})[x, y] = values(tile)
    assert {level: len(parts) for level, parts in seen.items()} == {0: 1, 1: 2, 2: 3 * 2, 3: 5 * 3}
    rows = [np.concatenate([seen[3][x, y] for x in range(3)], axis=2) for y in range(5)]
    assert np.array_equal(np.concatenate(rows, axis=1), whole)
    below = np.concatenate([np.concatenate([seen[2][x, y] for x in range(2)], axis=2) for y in range(3)], axis=1)
    assert below.shape == (1, 35, 23)
    assert below[0, 3, 4] == (whole[0, 6:8, 8:10].sum() + 2) // 4
    assert below[0, 3, 22] == (2 * whole[0, 6:8, 44].sum() + 2) // 4
    assert np.array_equal(halved(whole.astype(np.int64)), below)


def test_tiles_have_one_length_and_the_app_reads_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(study_tiles, "LARGE", 40)
    monkeypatch.setattr(study_tiles, "tiles_of", lambda png, pixels: tiles_of(png, pixels, side=16))
    files = {"original": picture(70, 45), "noise": picture(70, 45, 1)}
    sent = {arm: picture_of(png, DEEP) for arm, png in files.items()}
    assert len({len(tile) for tiles in sent.values() for tile in tiles.values()}) == 1
    write_picture(tmp_path / "p", sent["noise"])
    assert sha_at(tmp_path / "p") == sha_of(sent["noise"]) != sha_of(sent["original"])
    shape = geometry(tmp_path / "p")
    assert (shape.width, shape.height, shape.bits, shape.tile, shape.levels) == (45, 70, 16, 16, 4)
    monkeypatch.setattr(study_tiles, "LARGE", 70)
    assert picture_of(files["noise"], DEEP) == files["noise"]
