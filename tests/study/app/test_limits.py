"""Wrong codes are slowed down by address and over all, and nobody locks out another."""

from __future__ import annotations

import pytest

from percuss.study.app import limits
from percuss.study.app.limits import Attempts, group


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_one_address_has_ten_and_then_one_each_half_minute():
    clock = Clock()
    attempts = Attempts(clock=clock)
    assert [attempts.ask("10.0.0.1") for _ in range(11)] == [0] * 10 + [30]
    clock.now += 29
    assert attempts.ask("10.0.0.1") == 1
    clock.now += 1
    assert [attempts.ask("10.0.0.1") for _ in range(2)] == [0, 30]
    clock.now += 10_000
    assert [attempts.ask("10.0.0.1") for _ in range(11)] == [0] * 10 + [30]


def test_one_address_locks_out_no_other():
    attempts = Attempts(clock=Clock())
    for _ in range(5000):
        attempts.ask("10.0.0.1")
    assert attempts.ask("10.0.0.2") == 0


def test_right_codes_count_nothing():
    attempts = Attempts(clock=Clock())
    for _ in range(1000):
        assert attempts.ask("10.0.0.1") == 0
        attempts.right("10.0.0.1")
    assert [attempts.ask("10.0.0.1") for _ in range(11)] == [0] * 10 + [30]


def test_many_addresses_together_are_slowed_down_but_not_those_known():
    clock = Clock()
    attempts = Attempts(clock=clock, overall=300)
    attempts.ask("192.0.2.1")
    attempts.right("192.0.2.1")
    asked = [attempts.ask(f"10.0.{number}.1") for number in range(100) for _ in range(4)]
    assert asked[:300] == [0] * 300 and set(asked[300:]) == {1}
    assert attempts.ask("10.9.9.9") == 1, "somebody new waits a second"
    assert attempts.ask("192.0.2.1") == 0, "who had logged in from there does not"
    clock.now += 2
    assert attempts.ask("10.9.9.9") == 0


def test_a_network_of_ipv6_is_one_address_and_forms_of_one_are_one():
    assert group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::9%eth0") != group("2001:db8:1:3::1")
    assert group("::ffff:10.0.0.1") == group("10.0.0.1") == "10.0.0.1"
    assert group(None) == group("x") == "unknown"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "REMEMBERED", 50)
    attempts = Attempts(clock=Clock(), overall=10**6)
    for number in range(200):
        attempts.ask(f"10.0.0.{number}")
        attempts.right(f"10.0.0.{number}")
    assert len(attempts._of) == len(attempts._known) == 50
