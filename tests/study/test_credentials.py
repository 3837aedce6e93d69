"""Codes and links: drawn at random, read with patience, kept as hashes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from percuss.core.errors import UsageError
from percuss.study.credentials import ALPHABET, alike, check_name, draw, hash_of_secret

codes = st.text(alphabet=ALPHABET, min_size=16, max_size=16)


def test_a_code_has_80_bits_in_letters_that_nobody_confuses():
    drawn = [draw("Ada", "reader") for _ in range(200)]
    letters = "".join(credentials.code.replace("-", "") for credentials in drawn)
    assert all(len(credentials.code) == 19 and credentials.code[4::5] == "---" for credentials in drawn)
    assert len(ALPHABET) == 32 and not set("ILOU") & set(ALPHABET)
    assert set(letters) == set(ALPHABET)
    assert len({credentials.code for credentials in drawn}) == len({c.link_token for c in drawn}) == 200
    assert all(len(credentials.link_token) == 43 for credentials in drawn)


def test_a_code_is_not_in_what_a_log_would_print():
    credentials = draw("Ada", "reader")
    assert (credentials.name, credentials.role) == ("Ada", "reader")
    assert credentials.code not in repr(credentials) and credentials.link_token not in repr(credentials)


@given(codes, st.randoms(use_true_random=False))
def test_a_code_is_read_whatever_its_case_dashes_and_look_alikes(code, random):
    likes = {"0": "0Oo", "1": "1IiLl"}
    written = "".join(random.choice(likes.get(letter, letter + letter.lower())) for letter in code)
    places = sorted(random.sample(range(17), 3), reverse=True)
    for place in places:
        written = written[:place] + random.choice(["-", " ", "\u2013", "\u00a0", " - "]) + written[place:]
    assert hash_of_secret(f" {written}\n") == hashlib.sha256(code.encode()).hexdigest()


@given(codes, codes)
def test_other_codes_have_other_hashes(one, other):
    assert (hash_of_secret(one) == hash_of_secret(other)) == (one == other)


def test_a_link_token_is_read_as_it_is():
    token = "abcDEF-_ILO" + "x" * 32
    assert hash_of_secret(f" {token} ") == hashlib.sha256(token.encode()).hexdigest()
    assert hash_of_secret(token) != hash_of_secret(token.lower())


@pytest.mark.parametrize("secret", ["", "-", "U" * 16, "\ud800", "A" * 100_000, "1234"])
def test_whatever_is_sent_has_a_hash(secret):
    assert len(hash_of_secret(secret)) == 64


@pytest.mark.parametrize("name", ["A", "Ünal Ñandú", "O'Brien <b>", "x" * 200, "読影者"])
def test_a_name_is_any_printable_text(name):
    check_name(name, "reader")


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\x00b", "a\u202eb", "\ud800"])
def test_what_cannot_be_printed_is_no_name(name):
    with pytest.raises(UsageError, match=r"1 to 200 printable characters.*Next: give another name"):
        check_name(name, "reader")


def test_names_that_people_take_for_one_are_alike():
    assert alike("José  Q") == alike("jose\u0301 q") != alike("Jose Q")
    for name in (" Ada", "Ada ", "\u3000Ada"):
        with pytest.raises(UsageError, match="no blank at an end"):
            check_name(name, "reader")


@pytest.mark.parametrize("name", ["server", "Administrator"])
def test_no_reader_is_called_as_the_trail_calls_somebody_else(name):
    with pytest.raises(UsageError, match="the audit trail uses this name"):
        check_name(name, "reader")
    check_name(name, "administrator")
