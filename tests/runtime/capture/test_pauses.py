"""Pauses that grow, and restarts that are limited: pure functions of time."""

from __future__ import annotations

import pytest

from edgetl.runtime.capture.pauses import JITTER, Pauses, RestartLimit


def test_pauses_double_up_to_the_longest_and_start_again() -> None:
    pauses = Pauses(lambda: 0.5, first_s=0.1, longest_s=0.5)
    assert [pauses.next_s() for _ in range(5)] == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    pauses.reset()
    assert pauses.next_s() == pytest.approx(0.1)


def test_pauses_differ_between_devices_by_a_bounded_share() -> None:
    shortest, longest = (Pauses(lambda chance=chance: chance, first_s=1.0).next_s() for chance in (0.0, 1.0))  # type: ignore[misc]
    assert (shortest, longest) == pytest.approx((1 - JITTER, 1 + JITTER))


@pytest.mark.fault("C11")
def test_after_five_restarts_in_a_minute_there_is_one_a_minute_until_one_holds() -> None:
    limit = RestartLimit(count=5, window_s=60)
    assert limit.ended(0) == 0
    for second in range(5):
        limit.started(second)
        expected = 64 if second == 4 else second + 0.5
        assert limit.ended(second + 0.5) == expected
    assert limit.degraded
    for minute in range(1, 10):
        limit.started(4 + 60 * minute)
        assert limit.ended(10 + 60 * minute) == 4 + 60 * (minute + 1)
    limit.started(1000)
    assert limit.ended(1060) == 1060 and not limit.degraded


def test_restarts_far_apart_are_never_held_back() -> None:
    limit = RestartLimit(count=5, window_s=60)
    for start in range(0, 1000, 20):
        limit.started(start)
        assert limit.ended(start + 19) == start + 19
