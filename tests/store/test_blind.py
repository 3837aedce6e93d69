"""Files of a pack that tell which images are attacked are caught, one planted leak after the other."""

import json

import pytest
import torch

from percuss.core.images import PixelRange
from percuss.store.blind import LIST, leaks, stamp
from percuss.store.png import encode, pixel_hash, uncompressed

ARMS = {f"{i:03}.png": arm for i, arm in enumerate(["original", "perturbed"] * 5 + ["perturbed", "original"] * 5, 1)}


def image(arm):
    made = torch.full((3, 24, 24), 0.5)
    return made + 0.2 * torch.rand(made.shape) if arm == "perturbed" else made


def write(folder, arms=ARMS, form=uncompressed, **extra):
    folder.mkdir()
    for name, arm in arms.items():
        (folder / name).write_bytes(form(encode(image(arm), PixelRange())))
        stamp(folder / name)
    rows = [{"file": name, "set": 1, "sha256": "0", **extra} for name in arms]
    (folder / LIST).write_text(json.dumps({"images": rows}))
    return folder


def with_words(png):
    return png[:-12] + b"\x00\x00\x00\x04tEXta\x00ab\x00\x00\x00\x00" + png[-12:]


def test_alike_files_tell_nothing(tmp_path):
    assert leaks(write(tmp_path / "a"), ARMS) == []


@pytest.mark.parametrize("deep", [255, 4095])
@pytest.mark.parametrize("channels", [1, 3])
def test_uncompressed_keeps_every_pixel_and_has_one_length(channels, deep):
    pixels = PixelRange(0, deep, 1) if deep > 255 else PixelRange()
    flat, noisy = torch.full((channels, 9, 7), 0.25), torch.rand(channels, 9, 7)
    files = [encode(one, pixels) for one in (flat, noisy)]
    assert len(files[0]) != len(files[1])
    made = [uncompressed(file) for file in files]
    assert made == [encode(one, pixels, packed=False) for one in (flat, noisy)]
    assert len(made[0]) == len(made[1]) and [*map(pixel_hash, made)] == [*map(pixel_hash, files)]


def test_compressed_files_tell_by_their_length(tmp_path):
    told = leaks(write(tmp_path / "a", form=lambda png: png), ARMS)
    assert any(line.startswith("the length differs") for line in told)


def _note_one(folder):
    path = folder / "001.png"
    path.write_bytes(with_words(path.read_bytes()))
    stamp(path)


def _same_length_other_words(folder):
    for name, arm in ARMS.items():
        path = folder / name
        mark = b"a\x00xy" if arm == "original" else b"a\x00zz"
        path.write_bytes(with_words(path.read_bytes()).replace(b"a\x00ab", mark))
        stamp(path)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (_note_one, "the row of chunks differs"),
        (_same_length_other_words, "the header differs"),
        (lambda folder: (folder / "002.png").touch(), "the time differs"),
        (lambda folder: (folder / "002.png").chmod(0o600), "the mode differs"),
        (lambda folder: (folder / "key.csv").write_text("file,arm"), "other files than the key knows: key.csv"),
        (lambda folder: (folder / "007.png").unlink(), "other files than the key knows: 007.png"),
    ],
)
def test_planted_leak_is_caught(tmp_path, plant, words):
    folder = write(tmp_path / "a")
    plant(folder)
    assert any(words in line for line in leaks(folder, ARMS))


def test_names_list_and_order_are_looked_at(tmp_path):
    named = {f"{arm}-{name}": arm for name, arm in ARMS.items()}
    assert "names that are not plain numbers" in leaks(write(tmp_path / "a", named), named)[0]
    assert leaks(write(tmp_path / "b", arm="original"), ARMS) == ["the list says more than it may: arm"]
    sorted_arms = dict(zip(ARMS, ["original"] * 10 + ["perturbed"] * 10, strict=True))
    assert leaks(write(tmp_path / "c", sorted_arms), sorted_arms) == ["the order: one arm stands in one row"]
