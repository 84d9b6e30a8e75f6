"""How late a stream's frames are, told from their time stamps alone."""

from __future__ import annotations

from edgetl.runtime.capture.grabbers.stream import Lag


def test_steady_stream_has_no_lag_whatever_the_clocks_say() -> None:
    lag = Lag()
    assert max(lag.of(5000 + n / 25, 77 + n / 25) for n in range(1, 2000)) < 1e-6


def test_queue_that_grows_is_seen_as_it_grows() -> None:
    lag = Lag()
    lags = [lag.of(10 + n / 25, n / 25 * 1.25) for n in range(1, 500)]
    assert lags[-1] > 4.5 and lags == sorted(lags)


def test_clock_that_runs_ahead_is_no_queue() -> None:
    """50 millionths, an ordinary crystal: 4 s a day, and never more than a few hundredths within the window."""
    lag = Lag()
    assert max(lag.of(100 + n, 1 + n * 1.00005) for n in range(1, 86_400)) < 0.05


def test_stream_without_stamps_has_no_lag() -> None:
    lag = Lag()
    assert [lag.of(0.0, n / 25) for n in range(200)] == [0.0] * 200


def test_stream_that_starts_anew_is_measured_anew() -> None:
    lag = Lag()
    for n in range(1, 100):
        lag.of(1000 + n / 25, n / 25)
    assert lag.of(0.04, 100.0) == 0.0
    assert lag.of(0.08, 100.04) < 1e-6
