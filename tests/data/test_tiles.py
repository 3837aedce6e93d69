"""Tiles: where they begin, what they hold, what is left over, and options that make no sense."""

import os

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError
from percuss.data import map_set
from percuss.data.spec import load_data
from percuss.data.tiles import CUT, Cut, starts


def test_tiles(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["path,mask,instances,group"]
    for number, (height, width) in enumerate([(13, 21), (8, 8), (7, 30)]):
        things = rng.integers(0, 9, (height, width)).astype(np.uint16)
        parts = (rng.integers(0, 255, (height, width, 3)).astype(np.uint8), (things > 0).astype(np.uint8), things)
        for letter, values in zip("imn", parts, strict=True):
            Image.fromarray(values).save(tmp_path / f"{letter}{number}.png")
        lines.append(f"i{number}.png,m{number}.png,n{number}.png,p{number}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    spec = f"csv:{tmp_path / 't.csv'}?task=segment&names=no|yes"
    images = load_data(spec, tile=8)
    # 13 x 21 holds 1 x 2 tiles of 2 x 3; 8 x 8 holds one of one; 7 x 30 none of 1 x 4.
    assert images.ids == ("i0.png#0_0", "i0.png#0_1", "i1.png#0_0")
    assert images.dropped == {CUT: 4 + 0 + 4} == images.subset(ids=images.ids[:1]).dropped
    assert [entry.group for entry in images.entries] == ["p0", "p0", "p1"]
    whole, tile = load_data(spec).read("i0.png"), images.read("i0.png#0_1")
    assert np.array_equal(tile.pixels, whole.pixels[:, :8, 8:16]) and np.array_equal(
        tile.target, whole.target[:8, 8:16]
    )
    assert np.array_equal(tile.instances, whole.instances[:8, 8:16])
    closer = load_data(spec, tile=8, stride=5)
    assert [name for name in closer.ids if name.startswith("i0")] == [
        f"i0.png#{r}_{c}" for r in (0, 1) for c in (0, 1, 2)
    ]
    assert np.array_equal(closer.read("i0.png#1_2").target, whole.target[5:13, 10:18])
    assert load_data(spec, tile=8, size=4).read("i0.png#0_1").target.shape == (4, 4)
    assert len({images.fingerprint(name) for name in images.ids}) == 3
    for options, words in [
        ({"tile": 16}, "no image holds a whole tile: tile=16"),
        ({"stride": 4}, "stride has no use without tile"),
        ({"tile": 8, "stride": 9}, "the option stride must be a whole number: 9. Allowed: 1 to 8"),
    ]:
        with pytest.raises(DataError, match=words):
            load_data(spec, **options)


def test_an_image_is_decoded_once_for_all_its_tiles_and_anew_when_it_changed(tmp_path, monkeypatch):
    for name, values in (("i", np.zeros((8, 16, 3), np.uint8)), ("m", np.ones((8, 16), np.uint8))):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    (tmp_path / "t.csv").write_text("path,mask\ni.png,m.png\n")
    images, decoded, real = load_data(f"csv:{tmp_path / 't.csv'}?task=segment&names=a|b&tile=4"), [], map_set.decode
    monkeypatch.setattr(map_set, "decode", lambda *given: decoded.append(1) or real(*given))
    first, prints = [images.read(name) for name in images.ids], [images.fingerprint(name) for name in images.ids]
    assert len(first) == 8 and len(decoded) == 1 and len(set(prints)) == 8
    first[0].target[:] = 0  # a reader's own copy
    assert images.read(images.ids[0]).target.all() and first[0].pixels.base is None
    Image.fromarray(np.zeros((8, 16), np.uint8)).save(tmp_path / "m.png")
    os.utime(tmp_path / "m.png", ns=(0, 1))
    assert not images.read(images.ids[0]).target.any() and len(decoded) == 2
    assert images.fingerprint(images.ids[0]) != prints[0]


@pytest.mark.parametrize(
    ("side", "stride", "wanted"),
    [
        (1000, 256, ([0, 256, 512], 1)),
        (512, 256, ([0, 256], 0)),
        (512, 128, ([0, 128, 256], 0)),
        (200, 256, ([], 1)),
    ],
)
def test_where_tiles_begin(side, stride, wanted):
    assert starts(side, Cut(256, stride)) == wanted


def test_a_turned_photograph_is_cut_upright(tmp_path):
    photo = Image.fromarray(np.zeros((8, 16, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright it is 16 high and 8 wide
    photo.save(tmp_path / "i.jpg", exif=exif)
    np.save(tmp_path / "m.npy", np.arange(128).reshape(16, 8) % 2)
    (tmp_path / "t.csv").write_text("path,mask\ni.jpg,m.npy\n")
    images = load_data(f"csv:{tmp_path / 't.csv'}?task=segment&names=a|b&tile=8")
    assert images.ids == ("i.jpg#0_0", "i.jpg#1_0") and images.dropped == {}
    assert images.read("i.jpg#1_0").target.shape == (8, 8)


def test_an_image_that_cannot_be_opened_stays_in_the_list_of_tiles(tmp_path):
    (tmp_path / "i.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "j.png")
    (tmp_path / "t.csv").write_text("path,mask\ni.png,j.png\nj.png,j.png\n")
    images = load_data(f"csv:{tmp_path / 't.csv'}?task=segment&names=a|b&tile=4")
    got = images.collect(images.ids)
    assert got.ids == ["j.png#0_0"] and got.bad[0].id == "i.png#0_0" and "cannot be read" in got.bad[0].reason
