"""The threshold must hold the share of false alarms that was asked for, on pictures that it never saw."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.trainer.oneclass.threshold import threshold_of


def distances(count: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """As those of pictures are: each the largest of many places, and so with a tail to the right."""
    return np.exp(0.1 * np.random.default_rng(seed).normal(10.0, 1.0, (count, 64)).max(axis=1))


@pytest.mark.parametrize("false_alarm", [0.01, 0.05, 0.2])
def test_a_share_of_fresh_good_parts_lies_above_the_threshold(false_alarm: float) -> None:
    above = [
        (distances(400, 500 + i) > threshold_of(distances(100, i), false_alarm).distance).mean() for i in range(200)
    ]
    assert np.mean(above) == pytest.approx(false_alarm, rel=0.4)


@pytest.mark.parametrize("count", [25, 100, 400])
def test_the_sure_limit_is_broken_one_time_in_twenty(count: int) -> None:
    worse = [
        (distances(1000, 900 + i) > threshold_of(distances(count, i), 0.05).surely).mean() > 0.05 for i in range(200)
    ]
    assert 0.01 <= np.mean(worse) <= 0.1


def test_the_undecided_band_shrinks_with_the_pictures_held_out() -> None:
    bands = [threshold_of(distances(count, 1), 0.01).band for count in (20, 100, 1000)]
    assert bands[0] > 2 * bands[1] > 4 * bands[2] > 0


def test_pictures_that_are_all_alike_still_give_a_threshold() -> None:
    found = threshold_of(np.full(30, 2.0), 0.01)
    assert 2.0 < found.distance < found.surely < 2.1
