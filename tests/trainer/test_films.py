"""Frames of a film are divided by stretches, since each knows its neighbours; other pictures are not taken for films."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.trainer.datacheck.crossfit import out_of_fold
from edgetl.trainer.films import LEAST, STRETCHES, natural_order, stretches
from edgetl.trainer.splits import Sample, divide, near_duplicate_groups

Prints = NDArray[np.uint8]


def film(frames: int, seed: int = 0) -> Prints:
    """Thumbnails that drift and come back: each is the one before it, changed by more than a copy would be."""
    numbers = np.random.default_rng(seed)
    found, now = [], numbers.normal(0, 1, 256)
    for _ in range(frames):
        found.append(128 + 30 * now)
        now = 0.85 * now + (1 - 0.85**2) ** 0.5 * numbers.normal(0, 1, 256)
    return np.clip(found, 0, 255).astype(np.uint8)


def names(count: int, label: str = "a") -> list[str]:
    return [f"{label}/frame{i}.jpg" for i in range(count)]


def test_numbers_in_names_are_read_as_numbers() -> None:
    assert sorted(["f10", "f9", "f1", "e20"], key=natural_order) == ["e20", "f1", "f9", "f10"]


def test_film_is_cut_into_stretches_in_the_order_of_its_frames() -> None:
    paths, prints = names(240), film(240)
    shuffled = np.random.default_rng(1).permutation(240)
    found = stretches([paths[i] for i in shuffled], prints[shuffled])
    assert found is not None
    in_order = [part for _, part in sorted(zip(shuffled.tolist(), found, strict=True))]
    assert in_order == sorted(in_order) and set(in_order) == set(range(STRETCHES))
    assert all(in_order.count(part) == 240 // STRETCHES for part in range(STRETCHES))


@pytest.mark.parametrize("kind", ["unlike", "alike", "shuffled", "few"])
def test_other_pictures_are_no_film(kind: str) -> None:
    numbers = np.random.default_rng(0)
    prints = {
        "unlike": numbers.integers(0, 256, (100, 256), np.uint8),
        "alike": 128 + numbers.integers(0, 4, (100, 256), np.uint8),  # one fixture, over and over
        "shuffled": film(100)[numbers.permutation(100)],
        "few": film(LEAST - 1),
    }[kind]
    assert stretches(names(len(prints)), prints) is None


def samples_of(label: str, frames: int) -> list[Sample]:
    return [Sample(path, label, f"{label} {path}", None) for path in names(frames, label)]


def test_a_split_has_whole_stretches_so_that_few_frames_have_their_neighbour_elsewhere() -> None:
    samples = samples_of("a", 240)
    splits = divide(samples, near_duplicate_groups(samples, film(240)), 0)
    assert {"train", "val", "test"} == set(splits)
    apart = sum(one != other for one, other in itertools.pairwise(splits))
    assert apart < STRETCHES
    unlike = np.random.default_rng(0).integers(0, 256, (240, 256), np.uint8)
    alone = divide(samples, near_duplicate_groups(samples, unlike), 0)
    assert sum(one != other for one, other in itertools.pairwise(alone)) > 60


def test_out_of_fold_a_film_no_longer_looks_solved() -> None:
    """Two classes, a film each, in which nothing tells the classes: a head that saw a frame's neighbours still names its
    class, and that would be called knowledge."""
    samples = samples_of("a", 240) + samples_of("b", 240)
    prints = np.concatenate([film(240, 1), film(240, 2)])
    truth = np.repeat([0, 1], 240)

    def accuracy(groups: list[int]) -> float:
        guesses = out_of_fold(prints.astype(np.float32), truth, groups, 2, (1e-2,)).argmax(1)
        return float((guesses == truth).mean())

    assert accuracy(list(range(480))) > 0.95
    assert accuracy(near_duplicate_groups(samples, prints)) < 0.88
