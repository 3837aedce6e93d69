"""mnist: idx files in their spellings, packed or not, and files that are something else."""

import gzip
import struct

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data import mnist
from percuss.data.spec import load_data


@pytest.fixture
def spec(tmp_path):
    return mnist.miniature(tmp_path)


def test_values_and_splits(spec, tmp_path):
    images = load_data(spec)
    assert images.splits == ("train", "test") and images.classes == tuple("0123456789") and len(images) == 25
    assert images.ids[20:22] == ("test/00000", "test/00001") and images.entry("train/00007").target == 7
    case = images.read("test/00002")
    assert case.range == PixelRange(0, 255) and case.pixels.shape == (1, 28, 28)
    assert np.array_equal(case.pixels.ravel(), (np.arange(2 * 784, 3 * 784) * 7 % 251).astype(np.uint8))
    inner = load_data(f"mnist:{tmp_path}/MNIST/raw")
    assert inner.ids == images.ids and inner.fingerprint("train/00003") == images.fingerprint("train/00003")
    assert load_data(spec, size=32, channels="rgb").read("train/00000").pixels.shape == (3, 32, 32)


def test_plain_files_go_before_packed_ones(spec, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 20) + bytes(9 - n % 10 for n in range(20)))
    assert load_data(spec).entry("train/00000").target == 9


def test_validation_out_of_train(spec):
    images = load_data(spec, val=0.5, seed=3)
    assert set(images.splits) == {"train", "val", "test"}
    assert len(images.subset(split="val")) == 10 and len(images.subset(split="test")) == 5
    with pytest.raises(DataError, match="the option val must be a share: 1.5"):
        load_data(spec, val=1.5)
    with pytest.raises(DataError, match="seed has no use alone"):
        load_data(spec, seed=1)


def test_names(spec):
    assert load_data(spec, names="a|b|c|d|e|f|g|h|i|j").classes[9] == "j"
    with pytest.raises(DataError, match="the names do not fit the labels"):
        load_data(spec, names="a|b")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t10k-images.idx3-ubyte", b"<!DOCTYPE html>..", r"does not start as an idx file.*<!DO.*2051 \(images\)"),
        ("t10k-images.idx3-ubyte", struct.pack(">2I", 2049, 5) + bytes(5), "does not start as an idx file"),
        ("t10k-labels.idx1-ubyte", struct.pack(">2I", 2049, 5) + bytes(4), "longer or shorter.*4 bytes"),
        ("t10k-labels.idx1-ubyte", struct.pack(">2I", 2049, 4) + bytes(4), "test has 5 images but 4 labels"),
        ("train-labels-idx1-ubyte.gz", b"no gzip", "the idx file cannot be read"),
        (
            "train-labels-idx1-ubyte.gz",
            gzip.compress(struct.pack(">2I", 2049, 20) + bytes(20), mtime=0)[:-9],
            "the idx file cannot be read",
        ),
    ],
)
def test_files_that_are_something_else(spec, tmp_path, name, content, words):
    (tmp_path / "MNIST" / "raw" / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_data(spec)


def test_images_cut_off_are_named_when_read(spec, tmp_path):
    path = tmp_path / "MNIST" / "raw" / "t10k-images.idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])
    images = load_data(spec)
    assert [bad.id for bad in images.collect(images.ids).bad] == list(images.subset(split="test").ids)


def test_missing_parts(spec, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    (raw / "t10k-labels.idx1-ubyte").unlink()
    with pytest.raises(DataError, match="the split test lacks its labels"):
        load_data(spec)
    (raw / "t10k-images.idx3-ubyte").unlink()
    assert load_data(spec).splits == ("train",)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="holds no idx files"):
        load_data(f"mnist:{tmp_path}/bare")
