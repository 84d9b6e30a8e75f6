"""Warm-up ends when the times have settled, and what was cut short says so."""

from __future__ import annotations

import time

from edgetl.benchmarks.timing import Effort, is_steady, timed


def test_steady_is_two_medians_in_a_row_within_two_per_cent() -> None:
    assert is_steady([10.0] * 5 + [10.15] * 5, block=5)
    assert is_steady([10.15] * 5 + [10.0] * 5, block=5)
    assert not is_steady([10.0] * 5 + [10.3] * 5, block=5)
    assert not is_steady([10.3] * 5 + [10.0] * 5, block=5)
    assert not is_steady([10.0] * 9, block=5)  # too few for two blocks
    assert is_steady([50.0] * 20 + [10.0] * 10, block=5)  # what lies further back counts no more
    assert is_steady([10.0, 10.0, 90.0, 10.0, 10.0] * 2, block=5)  # nor does a spike


def test_one_that_never_settles_is_measured_and_says_so() -> None:
    durations = [0.001 * 1.3**k for k in range(12)] + [0.0] * 1000

    def slower_and_slower(_: int) -> None:
        time.sleep(durations.pop(0))

    found = timed(slower_and_slower, Effort(warm_up_runs=10, warm_up_s=0.001, runs=3, seconds=0.0, most_seconds=1.0))
    assert not found.warm_up.steady
    assert not found.cut and len(found.times_ms) == 3


def test_time_that_runs_out_is_told() -> None:
    effort = Effort(warm_up_runs=2, warm_up_s=0.0, runs=1000, seconds=0.0, most_seconds=0.05)
    found = timed(lambda _: time.sleep(0.005), effort)
    assert found.cut and 1 <= len(found.times_ms) < 1000
