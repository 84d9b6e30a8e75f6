"""Ranges by rule, on distributions whose best range is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.exporter.quantization import RangeRule
from edgetl.exporter.ranges import BINS, SAMPLE, Histogram, Range, range_of

RULES: tuple[RangeRule, ...] = ("percentile", "entropy", "mse")


def histogram(values: NDArray[np.float32]) -> Histogram:
    made = Histogram(float(values.min()), float(values.max()))
    for part in np.array_split(values, 7):
        made.add(part)
    return made


def error(values: NDArray[np.float32], within: Range) -> float:
    """The mean squared error of rounding to 256 steps, from the values themselves."""
    step = (within[1] - within[0]) / 255
    zero = round(-within[0] / step)
    back = (np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step
    return float(((back - values) ** 2).mean())


@pytest.fixture
def spiky() -> NDArray[np.float32]:
    """A tensor as nets have them: most values small, one in 50,000 far out."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 1, 100_000), [40.0, -25.0]]).astype(np.float32)


@pytest.mark.parametrize("rule", ["percentile", "entropy"])
def test_lonely_values_far_out_are_left_out(spiky: NDArray[np.float32], rule: RangeRule) -> None:
    low, high = range_of(histogram(spiky), rule)
    assert -13 < low < -2 and 2 < high < 21


def test_mse_is_not_beaten_by_the_other_rules(spiky: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(1)
    for values in (spiky, rng.laplace(0, 1, 50_000).astype(np.float32), rng.exponential(1, 50_000).astype(np.float32)):
        errors = {rule: error(values, range_of(histogram(values), rule)) for rule in ("min-max", *RULES)}
        assert errors["mse"] <= 1.02 * min(errors.values())


@pytest.mark.parametrize("rule", RULES)
def test_values_that_fill_their_range_keep_it(rule: RangeRule) -> None:
    values = np.random.default_rng(0).uniform(0, 6, 50_000).astype(np.float32)
    low, high = range_of(histogram(values), rule)
    assert low == 0.0
    assert high == pytest.approx(6.0, rel=0.05)


@pytest.mark.parametrize("rule", ("min-max", *RULES))
@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [-2.0, -1.0], [1e-12, 0.0]], ids=str)
def test_zero_is_always_inside(rule: RangeRule, values: list[float]) -> None:
    low, high = range_of(histogram(np.array(values, np.float32)), rule)
    assert low <= 0.0 <= high
    assert np.isfinite([low, high]).all()


def test_fourfold_leaves_room_for_logits_too(spiky: NDArray[np.float32]) -> None:
    assert range_of(histogram(spiky), "fourfold", logits=True) == (-100.0, 160.0)


def test_min_max_is_what_was_seen(spiky: NDArray[np.float32]) -> None:
    assert range_of(histogram(spiky), "min-max") == (-25.0, 40.0)


def test_histogram_counts_every_value_once() -> None:
    made = Histogram(-1.0, 1.0)
    made.add(np.array([-5.0, -1.0, 0.0, 1.0, 7.0], np.float32))
    assert made.counts.sum() == 5 and len(made.centres) == BINS
    assert made.counts[0] == made.counts[-1] == 2


def test_of_very_many_values_a_sample_is_counted_that_meets_every_channel() -> None:
    channels = np.arange(96, dtype=np.float32) / 95
    values = np.broadcast_to(channels, (112, 112, 96))
    made, again = (Histogram(0.0, 1.0) for _ in range(2))
    made.add(values)
    again.add(values)
    assert made.counts.sum() == SAMPLE and (made.counts == again.counts).all()
    met = made.counts[made.counts > 0]
    assert len(met) == 96 and met.min() > 0.7 * SAMPLE / 96 and met.max() < 1.3 * SAMPLE / 96
