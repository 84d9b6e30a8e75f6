"""The test of drift: its false alarm rate is what was asked for, and what moves is found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgetl.runtime.drift.chart import ALLOWANCE, Band, Chart, limit_for, run_length, step

BAND = Band(-1.0, 1.0)


def alarmed_after(means: list[float], limit: float, spread: float = 0.1) -> int | None:
    """How many windows it takes to an alarm."""
    chart = Chart()
    for number, mean in enumerate(means, start=1):
        chart = step(chart, mean, spread, BAND, limit)
        if chart.alarmed:
            return number
    return None


def test_false_alarms_on_the_edge_come_as_rarely_as_the_formula_says() -> None:
    """At a limit low enough to be counted: windows that lie on the edge of the band, with normal means."""
    limit, rng = 1.5, np.random.default_rng(3)
    lengths = []
    for _ in range(400):
        chart, windows = Chart(), 0
        while not chart.alarmed:
            chart = step(chart, 1.0 + 0.1 * float(rng.standard_normal()), 0.1, Band(-math.inf, 1.0), limit)
            windows += 1
        lengths.append(windows)
    # Windows are clipped, so it may take longer than the formula says; never much shorter.
    assert np.mean(lengths) > 0.85 * run_length(limit)


def test_limit_gives_the_run_length_that_was_asked_for() -> None:
    limit = limit_for(0.01, windows=480, sides=30)
    assert run_length(limit) == pytest.approx(480 * 30 / 0.01, rel=1e-3)
    assert limit_for(0.001, 480, 30) > limit > limit_for(0.1, 480, 30)


@pytest.mark.parametrize("side", [1, -1])
def test_shift_beyond_the_band_is_alarmed_within_few_windows(side: int) -> None:
    limit = limit_for(0.01, 480, 30)
    assert alarmed_after([side * 1.3] * 20, limit) in (3, 4, 5)
    assert alarmed_after([side * (1 + 2 * ALLOWANCE * 0.1)] * 20, limit) in range(5, 10)


def test_one_odd_window_is_no_alarm() -> None:
    limit = limit_for(0.01, 480, 30)
    assert alarmed_after([0.0, 1000.0, 0.0, 0.0, 0.0, -1000.0, 0.0, 0.0] * 50, limit) is None
    assert alarmed_after([1000.0] * 5, limit) == 3


def test_shift_within_the_band_is_none() -> None:
    assert alarmed_after([0.95, -0.95] * 500, limit_for(0.01, 480, 30)) is None


def test_alarm_ends_when_the_line_is_back_even_after_a_long_time() -> None:
    limit, chart = limit_for(0.01, 480, 30), Chart()
    for _ in range(1000):
        chart = step(chart, 3.0, 0.1, BAND, limit)
    assert chart.alarmed
    windows = 0
    while chart.alarmed:
        chart = step(chart, 0.0, 0.1, BAND, limit)
        windows += 1
    assert windows <= 2
