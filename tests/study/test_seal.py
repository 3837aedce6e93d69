"""The sealed key opens with its secret alone, and not when a byte of it was touched."""

import pytest
from tests.study.small_study import make

from percuss.core.errors import RunError
from percuss.study.seal import load_key, new_secret, seal, unseal, write_secret


@pytest.fixture
def made(tmp_path):
    study, key = make(tmp_path / "study", cases=2, slots=1)
    study.database.close()
    return study.folder, key


def test_a_key_comes_back_whole(made):
    folder, key = made
    secret = new_secret()
    assert unseal(seal(key, secret), secret) == key == load_key(folder)
    assert seal(key, secret) != seal(key, secret) and new_secret() != new_secret()


def test_nothing_of_it_is_read_without_the_secret(made):
    folder, key = made
    with pytest.raises(RunError, match="does not open"):
        unseal(folder.sealed.read_bytes(), new_secret())
    with pytest.raises(RunError, match="no secret of a study"):
        unseal(folder.sealed.read_bytes(), b"password")
    folder.secret_path.rename(folder.path.parent / "kept")
    with pytest.raises(RunError, match=r"secret of the sealed key cannot be read.*--secret"):
        load_key(folder)
    assert load_key(folder, folder.path.parent / "kept") == key
    folder.sealed.unlink()
    with pytest.raises(RunError, match="sealed key is missing"):
        load_key(folder, folder.path.parent / "kept")


def test_any_touched_byte_is_found(made):
    folder, _ = made
    blob, secret = folder.sealed.read_bytes(), folder.secret_path.read_bytes().strip()
    for at in range(0, len(blob), 97):
        with pytest.raises(RunError, match="does not open"):
            unseal(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :], secret)


def test_a_key_whose_protocol_is_not_the_frozen_one_does_not_open(made):
    _, key = made
    other = key.frozen.model_copy(update={"protocol": key.frozen.protocol.model_copy(update={"title": "Other"})})
    secret = new_secret()
    with pytest.raises(RunError, match="the protocol is not as it was"):
        unseal(seal(key.model_copy(update={"frozen": other}), secret), secret)


def test_a_secret_is_never_written_over_another(made):
    folder, _ = made
    with pytest.raises(RunError, match="secret of another study"):
        write_secret(folder.secret_path, b"x")
    assert load_key(folder)
