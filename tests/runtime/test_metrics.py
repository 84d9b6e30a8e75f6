"""Figures of merit against values worked out by hand or printed in the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.runtime.metrics import Z95, balanced_accuracy, confusion_matrix, measure, wilson

LABELS = ("a", "b", "c")
TRUTH = np.array([0] * 8 + [1] * 2 + [2] * 0, np.int64)
SAID = np.array([0] * 6 + [1, 2] + [1, 0], np.int64)


# Newcombe (1998), Statistics in Medicine 17, table I, method 3 (the score interval without continuity correction).
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_values(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("trials", [1, 10, 1000])
def test_wilson_closed_forms_at_none_and_all(trials: int) -> None:
    """With no success the upper end is z²/(n + z²); with all, the lower end is n/(n + z²)."""
    none, all_of_them = wilson(0, trials), wilson(trials, trials)
    assert none is not None and all_of_them is not None
    assert (none.low, none.high) == pytest.approx((0.0, Z95**2 / (trials + Z95**2)))
    assert (all_of_them.low, all_of_them.high) == pytest.approx((trials / (trials + Z95**2), 1.0))


def test_wilson_without_trials_says_nothing() -> None:
    assert wilson(0, 0) is None


@pytest.mark.parametrize("trials", [7, 50])
def test_wilson_is_where_the_score_test_just_rejects(trials: int) -> None:
    """The definition: |p̂ − p| = z·√(p(1 − p)/n) at both ends."""
    for successes in range(1, trials):
        interval = wilson(successes, trials)
        assert interval is not None
        for p in (interval.low, interval.high):
            assert abs(successes / trials - p) == pytest.approx(Z95 * math.sqrt(p * (1 - p) / trials), rel=1e-9)


def test_rows_are_the_truth_and_columns_the_prediction() -> None:
    assert confusion_matrix(TRUTH, SAID, 3).tolist() == [[6, 1, 1], [1, 1, 0], [0, 0, 0]]


def test_figures_of_a_small_case_worked_by_hand() -> None:
    metrics = measure(TRUTH, SAID, LABELS)
    assert metrics.n == 10
    assert metrics.accuracy == pytest.approx(0.7)
    assert metrics.balanced_accuracy == pytest.approx((6 / 8 + 1 / 2) / 2)  # class c has no pictures
    assert metrics.accuracy_interval == wilson(7, 10)
    a, b, c = (metrics.per_class[label] for label in LABELS)
    assert (a.pictures, a.recall, a.precision) == (8, 0.75, pytest.approx(6 / 7))
    assert (b.pictures, b.recall, b.precision) == (2, 0.5, 0.5)
    assert (c.pictures, c.recall, c.recall_interval, c.precision) == (0, None, None, 0.0)
    assert a.recall_interval == wilson(6, 8)
    assert a.precision_interval == wilson(6, 7)


def test_a_large_class_cannot_hide_a_small_one() -> None:
    truth = np.array([0] * 99 + [1], np.int64)
    metrics = measure(truth, np.zeros(100, np.int64), ("ok", "rare"))
    assert metrics.accuracy == 0.99
    assert metrics.balanced_accuracy == 0.5


def test_interval_of_balanced_accuracy_holds_it_and_has_width_at_the_ends() -> None:
    for said, wanted in ((TRUTH, 1.0), ((TRUTH + 1) % 2, 0.0), (SAID, 0.625)):
        metrics = measure(TRUTH, said, LABELS)
        interval = metrics.balanced_accuracy_interval
        assert metrics.balanced_accuracy == pytest.approx(wanted)
        assert 0.0 <= interval.low < interval.high <= 1.0
        assert interval.low <= wanted <= interval.high
    assert measure(TRUTH, SAID, LABELS) == measure(TRUTH, SAID, LABELS)


def confusion_of(right: NDArray[np.int64], pictures: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Truth and said where so many of each class are right, the others taken for the next class."""
    classes = len(right)
    truth = np.repeat(np.arange(classes), pictures)
    wrong = np.tile(np.arange(pictures), classes) >= np.repeat(right, pictures)
    return truth, np.where(wrong, (truth + 1) % classes, truth)


@pytest.mark.parametrize("right", [0, 7, 40])
def test_interval_of_balanced_accuracy_of_classes_alike_is_wilsons_of_all(right: int) -> None:
    truth, said = confusion_of(np.full(3, right), 40)
    found, known = measure(truth, said, LABELS).balanced_accuracy_interval, wilson(3 * right, 120)
    assert known is not None
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-6)


@pytest.mark.parametrize(
    ("classes", "pictures", "recall"), [(2, 60, 0.98), (6, 40, 0.87), (5, 40, 0.99), (30, 10, 0.95)]
)
def test_interval_of_balanced_accuracy_holds_what_drew_it(classes: int, pictures: int, recall: float) -> None:
    """In 19 of 20 draws, also of many small classes, where an interval for each class that is drawn to the middle adds up."""
    rng, labels = np.random.default_rng(0), tuple(map(str, range(classes)))
    held = 0
    for _ in range(400):
        truth, said = confusion_of(rng.binomial(pictures, recall, classes), pictures)
        interval = measure(truth, said, labels).balanced_accuracy_interval
        held += interval.low <= recall <= interval.high
    assert 0.92 <= held / 400 <= 0.995


def test_interval_narrows_with_more_pictures() -> None:
    def width(times: int) -> float:
        interval = measure(np.tile(TRUTH, times), np.tile(SAID, times), LABELS).balanced_accuracy_interval
        return interval.high - interval.low

    assert width(1000) == pytest.approx(width(10) / 10, rel=0.15)


def test_nothing_measured_is_not_a_number_out_of_the_air() -> None:
    empty = np.array([], np.int64)
    metrics = measure(empty, empty, LABELS)
    assert (metrics.n, metrics.accuracy) == (0, 0.0)
    assert (metrics.accuracy_interval.low, metrics.accuracy_interval.high) == (0.0, 1.0)
    assert (metrics.balanced_accuracy_interval.low, metrics.balanced_accuracy_interval.high) == (0.0, 1.0)
    assert balanced_accuracy(np.zeros((2, 2), np.int64)) == 0.0
