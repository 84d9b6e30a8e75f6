"""How far a handful of pictures gets: drawn apart from what judges, and told with its luck."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.errors import DatasetError
from edgetl.trainer.embedding.shots import Labelled, by_head, by_neighbours, handfuls, of_length_one


def clouds(each: int, apart: float, *, test_share: float = 0.0, width: int = 16) -> Labelled:
    """Three classes around three directions."""
    random = np.random.default_rng(0)
    truth = np.arange(3 * each) % 3
    features = random.normal(size=(3 * each, width)).astype(np.float32) + 2.0  # all share a direction, as parts do
    features[np.arange(3 * each), truth] += apart
    to_test = np.arange(3 * each) >= 3 * each * (1 - test_share)
    return Labelled(features, truth, ("a", "b", "c"), np.arange(3 * each), to_test)


def nothing(done: int) -> None:
    """No progress shown."""


@pytest.mark.parametrize("test_share", [0.0, 0.3])
def test_more_pictures_reach_further_and_all_the_furthest(test_share: float) -> None:
    rows = handfuls(clouds(100, 3.0, test_share=test_share), (1, 5, 20), 10, 0, nothing)
    assert [row.shots for row in rows] == [1, 5, 20, None]
    for method in ("nearest", "linear"):
        means = [getattr(row, method).mean for row in rows]
        assert means == sorted(means)
        assert means[0] > 0.4 and means[-1] > 0.8


def test_interval_holds_the_mean_and_narrows_with_more_to_judge() -> None:
    few, many = (handfuls(clouds(each, 3.0), (5,), 10, 0, nothing)[0].linear for each in (12, 200))
    for reached in (few, many):
        assert reached.interval.low < reached.mean < reached.interval.high
    assert many.interval.high - many.interval.low < few.interval.high - few.interval.low


def test_interval_of_many_small_classes_holds_what_was_reached() -> None:
    """Thirty classes of ten pictures, all told apart: that each may hide some luck must not add up to a certain loss."""
    truth = np.arange(300) % 30
    features = np.random.default_rng(0).normal(0, 0.05, (300, 30)).astype(np.float32)
    features[np.arange(300), truth] += 1.0
    row = handfuls(Labelled(features, truth, tuple("abcdefghijklmnopqrstuvwxyz0123"), np.arange(300), np.zeros(300, bool)),
                   (5,), 4, 0, nothing)[0]  # fmt: skip
    assert row.linear.mean == row.linear.interval.high == 1.0
    assert 0.9 < row.linear.interval.low < 1.0


def test_same_seed_draws_the_same_and_another_seed_others() -> None:
    one, same, other = (handfuls(clouds(40, 2.0), (2,), 4, seed, nothing)[0] for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_near_copies_of_what_teaches_do_not_judge() -> None:
    """Features without any meaning, but each picture has nine copies: counted as new pictures, they would be found again."""
    random = np.random.default_rng(0)
    distinct = random.normal(size=(30, 64)).astype(np.float32)
    features, truth = np.repeat(distinct, 10, axis=0), np.repeat(np.arange(30) % 3, 10)
    groups, no_test = np.repeat(np.arange(30), 10), np.zeros(300, bool)
    honest = handfuls(Labelled(features, truth, ("a", "b", "c"), groups, no_test), (9,), 10, 0, nothing)
    fooled = handfuls(Labelled(features, truth, ("a", "b", "c"), np.arange(300), no_test), (9,), 10, 0, nothing)
    for row in honest:
        assert row.nearest.mean < 0.55
    for row in fooled:
        assert row.nearest.mean > 0.7


def test_copies_of_one_picture_are_not_a_handful() -> None:
    pictures = clouds(6, 3.0)
    copies = np.where(pictures.truth == 1, 1, np.arange(18))  # all of class b are one picture
    with pytest.raises(DatasetError, match=r"'b' has 1 distinct pictures: at most 0 can be drawn, not 1; give smaller"):
        handfuls(
            Labelled(pictures.features, pictures.truth, pictures.labels, copies, pictures.to_test), (1,), 2, 0, nothing
        )


def test_class_that_is_only_in_test_is_named() -> None:
    pictures = clouds(6, 3.0)
    to_test: NDArray[np.bool_] = pictures.truth == 2
    with pytest.raises(DatasetError, match="'c' has no picture to learn from"):
        handfuls(
            Labelled(pictures.features, pictures.truth, pictures.labels, pictures.groups, to_test), (1,), 2, 0, nothing
        )


def test_one_class_has_nothing_to_be_told_from() -> None:
    alone = Labelled(np.ones((4, 2)), np.zeros(4, np.int64), ("a",), np.arange(4), np.zeros(4, bool))
    with pytest.raises(DatasetError, match="one class only"):
        handfuls(alone, (1,), 2, 0, nothing)


def test_near_neighbours_count_more_than_far_ones() -> None:
    taught = of_length_one(np.array([[1.0, 0.02], [0.0, 1.0], [0.1, 1.0]]))
    said = by_neighbours(taught, np.array([0, 1, 1]), of_length_one(np.array([[1.0, 0.0], [0.2, 1.0]])), 2)
    assert said.tolist() == [0, 1]


def test_head_gives_a_rare_class_its_share() -> None:
    random = np.random.default_rng(1)
    truth = np.array([0] * 60 + [1] * 6)
    taught = of_length_one(random.normal(size=(66, 4)) + 2 * np.eye(4)[truth])
    judged = of_length_one(random.normal(size=(400, 4)) + 2 * np.eye(4)[np.arange(400) % 2])
    said = by_head(taught, truth, judged, 2)
    recalls = [(said[np.arange(400) % 2 == c] == c).mean() for c in (0, 1)]
    assert min(recalls) > 0.65
