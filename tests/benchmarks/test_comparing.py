"""Two series are told apart when they differ, and hardly ever when they do not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.benchmarks.comparing import BLOCKS, compare, compare_interleaved


def series(seed: int, n: int = 2400, level: float = 10.0) -> NDArray[np.float64]:
    """Latencies as machines give them: neighbours alike, now and then a spike."""
    random = np.random.default_rng(seed)
    slow = np.zeros(n)
    for i in range(1, n):
        slow[i] = 0.98 * slow[i - 1] + random.normal(0, 0.01)
    spikes = np.where(random.random(n) < 0.02, random.exponential(5, n), 0)
    return level * (1 + slow + random.normal(0, 0.02, n)) + spikes


def test_one_program_taking_turns_with_itself_differs_one_time_in_twenty() -> None:
    alarms = 0
    for seed in range(200):
        both = series(seed, 4800)
        alarms += compare_interleaved(both[::2], both[1::2]).differ
    assert alarms <= 20  # 10 are expected; more than 20 come up in less than 0.2 % of such trials


@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_one_per_cent_is_seen_where_two_programs_take_turns(factor: float) -> None:
    both = series(3, 4800)
    found = compare_interleaved(both[::2], both[1::2] * factor)
    assert found.differ and found.ratio == pytest.approx(factor, abs=0.005)


def test_two_runs_are_told_apart_beyond_what_a_machine_does_by_itself() -> None:
    assert not compare(series(1), series(1) * 1.02).differ
    assert compare(series(1), series(1) * 1.10).differ
    assert compare(series(1) * 1.10, series(1)).ratio == pytest.approx(1 / 1.10, rel=0.02)


def test_too_few_timings_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        compare([1.0] * (2 * BLOCKS - 1), [1.0] * 1000)
