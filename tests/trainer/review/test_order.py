"""The most instructive picture comes first, and its copies do not follow it."""

from __future__ import annotations

import numpy as np

from edgetl.trainer.review.order import by_teaching


def test_doubt_comes_first_among_equals() -> None:
    prints = np.zeros((3, 256), np.uint8)
    assert by_teaching(np.array([0.1, 0.9, 0.5]), prints) == [1, 2, 0]


def test_ten_frames_of_one_part_do_not_come_in_a_row() -> None:
    rng = np.random.default_rng(0)
    same = np.repeat(rng.integers(0, 256, (1, 256), np.uint8), 10, axis=0)
    others = rng.integers(0, 256, (3, 256), np.uint8)
    order = by_teaching(np.array([0.5] * 10 + [0.3] * 3), np.vstack([same, others]))
    assert order[0] < 10 and set(order[1:4]) == {10, 11, 12}
    assert sorted(order) == list(range(13))


def test_nothing_has_no_order() -> None:
    assert by_teaching(np.zeros(0), np.zeros((0, 256), np.uint8)) == []
