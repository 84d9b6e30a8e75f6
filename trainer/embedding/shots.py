"""How far a handful of labelled pictures a class gets on frozen features: the nearest neighbours, and a linear head.

Every draw takes other pictures, so that the interval shows what luck in choosing them, and in the pictures that judge,
amounts to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.errors import DatasetError
from edgetl.runtime.metrics import Interval, balanced_accuracy, balanced_interval, confusion_matrix
from edgetl.trainer.datacheck.crossfit import FOLDS, folds_of
from edgetl.trainer.probe import fit_linear

NEIGHBOURS = 5
SHARPNESS = 0.07  # of the neighbours' votes, exp(cosine / 0.07), as in DINO (Caron et al., 2021, arXiv:2104.14294)
PENALTY = 1e-4  # of the head on features of length 1: on three sets within a point of the best at 1 to 90 a class

Features = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Division = tuple[Rows, Rows]  # the pictures that teach, and those that judge


class Reached(msgspec.Struct, frozen=True):
    """Balanced accuracy (0 to 1): the mean over the draws, and where 95 % of them lie."""

    mean: float
    interval: Interval


class Handful(msgspec.Struct, frozen=True):
    """What `shots` pictures a class reach; None stands for all that there are."""

    shots: int | None
    nearest: Reached
    linear: Reached


class Labelled(msgspec.Struct, frozen=True):
    """Pictures as the draws see them: features (n×d, any length), numbers of their classes, groups of near copies, and
    which of them the data set keeps for testing; if there are none, all that did not teach judge."""

    features: Features
    truth: Rows
    labels: tuple[str, ...]
    groups: Rows
    to_test: NDArray[np.bool_]


def handfuls(
    pictures: Labelled, shots: tuple[int, ...], draws: int, seed: int, advance: Callable[[int], None]
) -> list[Handful]:
    """A row for each number of pictures a class, and one for all that there are.

    Near copies of a picture that teaches never judge. Raises DatasetError where a class has too few distinct pictures.
    """
    for number, label in enumerate(pictures.labels):
        if not (pictures.truth[~pictures.to_test] == number).any():
            raise DatasetError(f"class {label!r} has no picture to learn from outside of test; --shots needs some")
    if len(pictures.labels) < 2:
        raise DatasetError(f"one class only ({pictures.labels[0]}); --shots needs at least two to tell apart")
    rows: list[Handful] = []
    for count in shots:
        drawn = [_drawn(pictures, count, np.random.default_rng([seed, count, draw])) for draw in range(draws)]
        rows.append(_reached(pictures, count, [[division] for division in drawn]))
        advance(len(rows))
    return [*rows, _reached(pictures, None, [_all_of(pictures, seed)])]


def of_length_one(features: Features) -> NDArray[np.float32]:
    """Features scaled to length 1, so that their products are cosines."""
    lengths = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    scaled: NDArray[np.float32] = (features / lengths).astype(np.float32)
    return scaled


def by_neighbours(taught: Features, truth: Rows, judged: Features, classes: int) -> Rows:
    """The class that the nearest taught pictures vote for; features are of length 1, and near ones count more."""
    cosines = judged @ taught.T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS]
    weights = np.exp((np.take_along_axis(cosines, nearest, axis=1) - 1) / SHARPNESS)
    votes = np.zeros((len(judged), classes))
    for neighbour, weight in zip(nearest.T, weights.T, strict=True):
        votes[np.arange(len(judged)), truth[neighbour]] += weight
    said: Rows = votes.argmax(axis=1)
    return said


def by_head(taught: Features, truth: Rows, judged: Features, classes: int) -> Rows:
    """The class that a linear head says, every class weighing the same. Features are of length 1: with a handful, their
    spread in each direction cannot be known, so it is not divided by."""
    counts = np.maximum(np.bincount(truth, minlength=classes), 1)
    weights = torch.tensor(len(truth) / (classes * counts), dtype=torch.float32)
    inside = torch.from_numpy(taught.astype(np.float32))
    weight, bias = fit_linear(inside, torch.from_numpy(truth), weights, PENALTY)
    said: Rows = (judged @ weight.numpy().T + bias.numpy()).argmax(axis=1)
    return said


def _drawn(pictures: Labelled, count: int, rng: np.random.Generator) -> Division:
    """`count` pictures of each class, no two of them near copies, and the pictures that may judge them."""
    pool = np.flatnonzero(~pictures.to_test)
    taught: list[int] = []
    for number, label in enumerate(pictures.labels):
        order = rng.permutation(pool[pictures.truth[pool] == number])
        _, first = np.unique(pictures.groups[order], return_index=True)
        spare = len(first) - (0 if pictures.to_test.any() else 1)  # one must be left to judge
        if spare < count:
            raise DatasetError(
                f"class {label!r} has {len(first)} distinct pictures: at most {spare} can be drawn, not {count}; "
                "give smaller --shots, or more pictures"
            )
        taught += order[np.sort(first)[:count]].tolist()
    return _with_judges(pictures, np.array(taught))


def _with_judges(pictures: Labelled, taught: Rows) -> Division:
    judges = ~np.isin(pictures.groups, pictures.groups[taught])
    return taught, np.flatnonzero(judges & pictures.to_test if pictures.to_test.any() else judges)


def _all_of(pictures: Labelled, seed: int) -> list[Division]:
    """All pictures that may teach, or in an undivided set four fifths in turn."""
    if pictures.to_test.any():
        return [_with_judges(pictures, np.flatnonzero(~pictures.to_test))]
    folds = folds_of(pictures.truth, pictures.groups.tolist(), seed)
    return [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(FOLDS)]


def _reached(pictures: Labelled, shots: int | None, draws: list[list[Division]]) -> Handful:
    """`draws` of divisions; those of one draw judge different pictures."""
    classes, truth, unit = len(pictures.labels), pictures.truth, of_length_one(pictures.features)
    nearest, linear = [], []
    for divisions in draws:
        of_both = [np.zeros((classes, classes), np.int64), np.zeros((classes, classes), np.int64)]
        for taught, judged in divisions:
            for confusion, judge in zip(of_both, (by_neighbours, by_head), strict=True):
                said = judge(unit[taught], truth[taught], unit[judged], classes)
                confusion += confusion_matrix(truth[judged], said, classes)
        nearest.append(of_both[0])
        linear.append(of_both[1])
    return Handful(shots, _summed_up(nearest), _summed_up(linear))


def _summed_up(confusions: list[NDArray[np.int64]]) -> Reached:
    """The interval holds both kinds of luck: which pictures taught, as the draws show it, and which judged. They have nothing to do
    with each other, so that their distances from the mean add up as squares (G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008).
    """
    values = np.array([balanced_accuracy(confusion) for confusion in confusions])
    judged = [balanced_interval(confusion) for confusion in confusions]
    mean, (low, high) = values.mean(), np.quantile(values, [0.025, 0.975])
    below = math.hypot(mean - low, float(np.mean(values - [i.low for i in judged])))
    above = math.hypot(high - mean, float(np.mean([i.high for i in judged] - values)))
    return Reached(float(mean), Interval(max(0.0, float(mean) - below), min(1.0, float(mean) + above)))
