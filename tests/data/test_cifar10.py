"""cifar10: the binary version, the pickled one without running it, and pickles that would."""

import pickle
import shutil

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data import cifar10
from percuss.data.spec import load_data

RAN = []


class Harmful:
    """Runs code when unpickled in the usual way."""

    def __reduce__(self):
        return RAN.append, ("it ran",)


@pytest.fixture
def spec(tmp_path):
    return cifar10.miniature(tmp_path)


def as_pickles(spec, folder, protocol=2):
    """The miniature in the Python version, keys as bytes like those of Python 2; its spec."""
    home = folder / "py" / "cifar-10-batches-py"
    home.mkdir(parents=True, exist_ok=True)
    for path in (folder / "cifar-10-batches-bin").glob("*.bin"):
        table = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)
        batch = {b"batch_label": b"x", b"labels": table[:, 0].tolist(), b"data": table[:, 1:].copy(), b"filenames": []}
        (home / path.stem).write_bytes(pickle.dumps(batch, protocol=protocol))
    return f"cifar10:{folder}/py"


def test_binary(spec, tmp_path):
    images = load_data(spec)
    assert images.splits == ("train", "test") and len(images) == 24 and images.classes[6] == "frog"
    assert images.ids[4] == "data_batch_2/00000" and images.entry("test_batch/00003").target == 3
    stored = (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").read_bytes()[1:3073]
    case = images.read("data_batch_2/00000")
    assert case.pixels.shape == (3, 32, 32) and case.pixels.tobytes() == stored  # red, green and blue planes
    assert load_data(spec, val=0.2).splits[-1] == "test"


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_give_the_same(spec, tmp_path, protocol):
    images, other = load_data(spec), load_data(as_pickles(spec, tmp_path, protocol))
    assert images.ids == other.ids and [e.target for e in images.entries] == [e.target for e in other.entries]
    assert all(images.fingerprint(name) == other.fingerprint(name) for name in images.ids)


def test_the_binary_version_goes_first(spec, tmp_path):
    as_pickles(spec, tmp_path)
    shutil.move(tmp_path / "py" / "cifar-10-batches-py", tmp_path / "cifar-10-batches-py")
    assert load_data(spec).entries[0].source.endswith("data_batch_1.bin")


@pytest.mark.parametrize("content", [Harmful(), {b"labels": [0], b"data": Harmful()}])
def test_a_harmful_pickle_does_not_run(spec, tmp_path, content):
    other = as_pickles(spec, tmp_path)
    (tmp_path / "py" / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"cannot be read safely.*data_batch_3.*it asks for .*take the binary version"):
        load_data(other)
    assert RAN == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}q\x00",
        pickle.dumps([1]),
        pickle.dumps({"labels": [0, 1], "data": np.zeros((1, 3072), np.uint8)}),
        pickle.dumps({"labels": [-1], "data": np.zeros((1, 3072), np.uint8)}),
    ],
)
def test_damaged_pickles(spec, tmp_path, content):
    other = as_pickles(spec, tmp_path)
    (tmp_path / "py" / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read safely.*test_batch"):
        load_data(other)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(3072), "no whole number of records.*3072 bytes"),
        (b"", "no whole number of records"),
        (bytes([10]) + bytes(3072), "a label beyond CIFAR-10's.*10"),
    ],
)
def test_damaged_records(spec, tmp_path, content, words):
    (tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_data(spec)


def test_no_batch(tmp_path):
    with pytest.raises(DataError, match="holds no CIFAR-10 batch"):
        load_data(f"cifar10:{tmp_path}")
