"""The test: a two-sided cumulative sum (Page 1954) of how far window means lie outside a band.

False alarms are bounded by Siegmund's approximation of the run length (Sequential Analysis, 1985, eq. 2.57): windows
whose true mean lies on the band's edge, standard normal when standardized, raise an alarm on one side every
(exp(2kb) − 2kb − 1) / 2k² windows on average, with b = limit + 1.166. Inside the band it takes longer.
"""

from __future__ import annotations

import math

import msgspec

# Of a window beyond the edge, this many standard deviations are forgiven. Larger is surer and blinder to small shifts;
# what moved by less than the band's tolerance is not worth an alarm anyway.
ALLOWANCE = 1.0
_OVERSHOOT = 1.166  # Siegmund's correction for a sum that jumps over its limit
_CLIP = 2.5  # at most limit / _CLIP counts of one window, so that an alarm needs three in a row: a hand in view is none


class Band(msgspec.Struct, frozen=True):
    """Where a window's mean may lie without being told of; an infinite end leaves that side open."""

    low: float
    high: float


class Chart(msgspec.Struct, frozen=True):
    """The two sums, in standard deviations of a window's mean, and whether they raised an alarm."""

    low: float = 0.0
    high: float = 0.0
    alarmed: bool = False


def run_length(limit: float) -> float:
    """The mean number of windows to a false alarm on one side, for a line on the edge of its band."""
    b = limit + _OVERSHOOT
    return (math.exp(2 * ALLOWANCE * b) - 2 * ALLOWANCE * b - 1) / (2 * ALLOWANCE**2)


def limit_for(false_alarms: float, windows: float, sides: int) -> float:
    """The limit at which at most `false_alarms` are expected in `windows` windows of `sides` sums together."""
    wanted = windows * sides / false_alarms
    low, high = 0.0, 50.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if run_length(middle) < wanted else (low, middle)
    return high


def step(chart: Chart, mean: float, spread: float, band: Band, limit: float) -> Chart:
    """The chart after one more window; `spread` is the standard deviation of a window's mean within this line.

    An alarm stays until both sums are back at zero. They are held at the limit, so that the end of a long drift is
    seen as soon as the end of a short one.
    """
    most = limit / _CLIP + ALLOWANCE
    above, below = (mean - band.high) / spread, (band.low - mean) / spread
    high = min(max(0.0, chart.high + min(above, most) - ALLOWANCE), limit)
    low = min(max(0.0, chart.low + min(below, most) - ALLOWANCE), limit)
    reached = max(low, high) >= limit
    return Chart(low, high, reached or (chart.alarmed and max(low, high) > 0))
