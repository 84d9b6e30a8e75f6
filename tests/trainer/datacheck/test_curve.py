"""Extrapolated learning curves are honest: they contain the truth where the law holds, and never leave 0 to 1."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.trainer.datacheck.curve import FURTHEST, extrapolated, learning_curves, needed_for

N = np.array([50.0, 100.0, 200.0, 400.0])


@pytest.mark.parametrize(("a", "b", "c"), [(0.95, 2.0, 0.5), (0.9, 3.0, 0.8), (1.0, 1.0, 0.4)])
def test_a_power_law_is_continued(a: float, b: float, c: float) -> None:
    rng = np.random.default_rng(1)
    accuracy = a - b * N**-c + rng.normal(0, 0.004, (5, 4))
    for point in extrapolated(N, accuracy, [800.0, 1600.0]):
        truth = a - b * point.pictures**-c
        assert point.low - 0.02 <= truth <= point.high + 0.02
        assert 0 <= point.low <= point.mean <= point.high <= 1


def test_no_gain_is_foreseen_where_there_was_none() -> None:
    flat = np.full((5, 4), 0.8) + np.random.default_rng(0).normal(0, 0.002, (5, 4))
    assert all(abs(p.mean - 0.8) < 0.02 for p in extrapolated(N, flat, [800.0, 1600.0]))


def test_more_pictures_of_an_easy_set_help_and_of_a_hopeless_one_do_not() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 150)
    groups = list(range(300))
    easy = rng.normal(0, 1, (300, 30)) + truth[:, None] * np.linspace(0, 1, 30)
    hopeless = rng.normal(0, 1, (300, 30))
    learned = learning_curves(easy, truth, groups, ("a", "b"))[0]
    guessed = learning_curves(hopeless, truth, groups, ("a", "b"))[0]
    assert learned.measured[-1].mean > learned.measured[0].mean + 0.01 and learned.measured[-1].mean > 0.75
    assert abs(guessed.measured[-1].mean - 0.5) < 0.12


def test_each_class_has_its_own_curve() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [200, 200, 40])
    features = rng.normal(0, 1, (440, 10)) + 2 * np.eye(10)[truth]
    curves = learning_curves(features, truth, list(range(440)), ("a", "b", "rare"))
    assert [c.name for c in curves] == ["balanced accuracy", "a", "b", "rare"]
    assert curves[3].measured[-1].pictures == pytest.approx(32)
    assert all(curve.needed.reach == 0.95 for curve in curves)


def law(a: float, b: float, c: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return a - b * N**-c + np.random.default_rng(1).normal(0, 0.003, (5, 4))


@pytest.mark.parametrize(
    ("a", "b", "c", "reach"), [(1.0, 3.0, 0.5, 0.9), (0.98, 2.0, 0.5, 0.92), (1.0, 1.0, 0.4, 0.93)]
)
def test_pictures_needed_are_where_the_law_gets_there(a: float, b: float, c: float, reach: float) -> None:
    truth = (b / (a - reach)) ** (1 / c)
    needed = needed_for(N, law(a, b, c), 500, reach)
    assert needed.low is not None and needed.pictures is not None
    assert needed.low * 0.95 <= truth <= (needed.high or np.inf) * 1.05
    assert needed.low <= needed.pictures


def test_what_is_reached_needs_no_more_than_there_are_and_what_never_will_be_is_no_number() -> None:
    reached = needed_for(N, law(0.95, 3.0, 0.8), 500, 0.8)
    assert reached.high is not None and reached.high < 500
    never = needed_for(N, law(0.8, 3.0, 0.8), 500, 0.95)
    assert (never.low, never.pictures, never.high) == (None, None, None)
    assert needed_for(N, law(0.9, 1.0, 0.9), int(N[-1]), 0.99).pictures is None
    far = needed_for(N, law(1.0, 1.0, 0.2), 500, 0.9)  # the law gets there, but further than it can be believed
    assert far.pictures is None or far.pictures <= FURTHEST * 500


def test_what_so_many_pictures_do_not_reach_fewer_do_not_either() -> None:
    """However unsure the few that judge leave it."""
    needed = needed_for(N, law(0.92, 0.5, 0.8), 500, 0.95, judged=20)
    assert needed.low is not None and needed.low >= 500
    reached = needed_for(N, law(0.97, 0.5, 0.8), 500, 0.95, judged=20)
    assert reached.low is not None and reached.low < 500


@pytest.mark.parametrize(("count", "least", "most"), [(60, 0.95, 0.99), (12, 0.75, 0.95)])
def test_all_right_of_a_few_is_not_all_right_for_sure(count: int, least: float, most: float) -> None:
    """The lower end of a one-sided 90 % interval of 60 of 60 is 96 to 97 %, of 12 of 12 it is 82 to 88 %."""
    (now,) = extrapolated(N, np.ones((5, 4)), [500.0], judged=count)
    assert now.mean == pytest.approx(1.0, abs=0.01) and now.high == pytest.approx(1.0, abs=1e-6)
    assert least < now.low < most
    needed = needed_for(N, np.ones((5, 4)), 500, 0.95, judged=count)
    assert needed.low == 50 and (needed.high is None) == (count == 12)
