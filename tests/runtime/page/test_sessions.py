"""Sessions run out, changes need their own mark, and guessing gets slow."""

from __future__ import annotations

import pytest

from edgetl.runtime.page.sessions import Sessions, Tries, may_change

HOUR = 3600.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_session_is_found_by_its_token_only(clock: Clock) -> None:
    sessions = Sessions(clock)
    token, session = sessions.begin()
    assert sessions.find(token) is session
    assert sessions.find(token[:-1]) is None and sessions.find(None) is None and sessions.find("") is None


def test_session_ends_when_it_idles_and_after_a_long_shift(clock: Clock) -> None:
    sessions = Sessions(clock)
    token, _ = sessions.begin()
    clock.now += 1.9 * HOUR
    assert sessions.find(token) is not None
    clock.now += 2.1 * HOUR
    assert sessions.find(token) is None
    token, _ = sessions.begin()
    for _ in range(11):
        clock.now += HOUR
        assert sessions.find(token) is not None
    clock.now += 1.1 * HOUR
    assert sessions.find(token) is None


def test_signing_out_ends_it(clock: Clock) -> None:
    sessions = Sessions(clock)
    token, _ = sessions.begin()
    sessions.end(token)
    assert sessions.find(token) is None


def test_sessions_do_not_pile_up(clock: Clock) -> None:
    sessions = Sessions(clock)
    tokens = [sessions.begin()[0] for _ in range(100)]
    assert sessions.find(tokens[0]) is None and sessions.find(tokens[-1]) is not None
    assert sum(sessions.find(t) is not None for t in tokens) == 64


def test_change_needs_the_sessions_own_mark(clock: Clock) -> None:
    _, session = Sessions(clock).begin()
    _, another = Sessions(clock).begin()
    assert may_change(session, session.csrf)
    assert not may_change(session, another.csrf)
    assert not may_change(session, None) and not may_change(session, "") and not may_change(None, session.csrf)


def test_guessing_gets_slow_and_waiting_helps(clock: Clock) -> None:
    tries = Tries(clock)
    for _ in range(5):
        assert tries.wait_s("a") == 0
        tries.failed("a")
    waits = []
    for _ in range(12):
        waits.append(tries.wait_s("a"))
        clock.now += waits[-1]
        assert tries.wait_s("a") == 0
        tries.failed("a")
    assert waits[:4] == [1, 2, 4, 8] and waits[-1] == 300
    assert tries.wait_s("b") == 0
    tries.succeeded("a")
    assert tries.wait_s("a") == 0


def test_many_addresses_together_are_slowed_too(clock: Clock) -> None:
    tries = Tries(clock)
    for number in range(50):
        tries.failed(f"10.0.0.{number}")
    assert tries.wait_s("10.0.1.1") > 0


def test_addresses_do_not_pile_up(clock: Clock) -> None:
    tries = Tries(clock)
    for number in range(5000):
        tries.failed(str(number))
    assert len(tries._failures) <= 1025
