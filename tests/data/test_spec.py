"""The data spec as text, and what load_data does with it."""

import pytest

from percuss.core.errors import DataError
from percuss.data import folder
from percuss.data.spec import load_data, parse_spec


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("folder:a/b", ("folder", "a/b", {})),
        ("csv:a.csv?size=224&channels=rgb", ("csv", "a.csv", {"size": "224", "channels": "rgb"})),
        ("csv:a b.csv?label_column=what is it", ("csv", "a b.csv", {"label_column": "what is it"})),
        ("folder:C:/x?y=1", ("folder", "C:/x", {"y": "1"})),
    ],
)
def test_parts(text, parts):
    assert parse_spec(text) == parts


def test_a_question_mark_in_an_existing_name(tmp_path):
    odd = tmp_path / "why?"
    odd.mkdir()
    assert parse_spec(f"folder:{odd}")[1:] == (str(odd), {})
    assert parse_spec(f"folder:{odd}?size=2")[1:] == (str(odd), {"size": "2"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a/b", "names no scheme: a/b.*write folder:a/b"),
        ("x.csv", "write csv:x.csv"),
        ("x.npz", "write medmnist:x.npz"),
        ("folder:a?size", "options are not key=value pairs: size"),
        ("folder:a?size=1&size=2", "the option size is given twice"),
    ],
)
def test_texts_that_are_no_spec(text, words):
    with pytest.raises(DataError, match=words):
        parse_spec(text)


def test_an_unknown_scheme_names_the_nearest():
    with pytest.raises(DataError, match=r"unknown kind of data: fodler\. Allowed: folder.*percuss list datasets"):
        load_data("fodler:x")


def test_split_and_options(tmp_path):
    spec = folder.miniature(tmp_path)
    images = load_data(spec, split="test", size=4)
    assert len(images) == 4 and images.splits == ("test",)
    assert images.spec == f"{spec}?size=4"
    assert load_data(images.spec, split="test").fingerprint(images.ids[0]) == images.fingerprint(images.ids[0])
    pixels, targets = images.tensors()
    assert pixels.shape == (4, 1, 4, 4) and targets.tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match="the option size is given twice: 4 and 5"):
        load_data(images.spec, size=5)
    with pytest.raises(DataError, match="no split holdout: it has test, train, val"):
        load_data(spec, split="holdout")
    with pytest.raises(DataError, match="unknown option of folder: sise. Allowed: size"):
        load_data(spec, sise=4)
