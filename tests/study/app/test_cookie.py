"""The signed cookie of a login."""

import threading

import pytest

from percuss.core.errors import RunError
from percuss.study.app.cookie import FILE, signed, signing_key, unsigned


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    key = signing_key(tmp_path)
    assert len(key) == 32
    assert signing_key(tmp_path) == key
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_servers_that_start_at_once_have_one_key(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(signing_key(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_damaged_key_is_an_error(tmp_path):
    (tmp_path / FILE).write_text("abc")
    with pytest.raises(RunError, match="key of the cookies is damaged"):
        signing_key(tmp_path)


def test_only_what_was_signed_comes_back():
    key, other = b"k" * 32, b"o" * 32
    cookie = signed("token-of.chance", key)
    assert unsigned(cookie, key) == "token-of.chance"
    token, _, signature = cookie.rpartition(".")
    wrong = ["", ".", token, f"{token}.", f"{token}x.{signature}", f"{token}.{signature[:-1]}", f".{signature}", "é.é"]
    assert [unsigned(bad, key) for bad in [*wrong, signed(token, other)]] == [None] * 9
