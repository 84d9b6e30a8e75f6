"""How accuracy grows with the number of pictures, and what more of them may be worth."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.metrics import confusion_matrix
from edgetl.trainer.datacheck.crossfit import FOLDS, folds_of, predict

SHARES = (0.1, 0.2, 0.4, 0.8)
REPEATS = 5
PENALTY = 1e-2
DRAWS = 200
AHEAD = (1, 2, 4)  # times the pictures there are
REACH = 0.95  # recall that a class's needed pictures are told for, unless another one is asked for
FURTHEST = 16.0  # times the pictures there are; a law fitted to a tenth of that says nothing beyond
_STEPS = 200
EXPONENTS = np.linspace(0.2, 1.2, 21)  # of the power law; measured ones of classifiers lie between 0.3 and 1


class Point(msgspec.Struct, frozen=True):
    """Accuracy with `pictures` of training: the mean over repeats, and its lowest and highest (0 to 1)."""

    pictures: float
    mean: float
    low: float
    high: float


class Needed(msgspec.Struct, frozen=True):
    """How many pictures it takes to `reach` an accuracy: in the middle, and the 10 to 90 % band; None where that is more
    than FURTHEST times as many as there are, of which these pictures say nothing."""

    reach: float
    pictures: int | None
    low: int | None
    high: int | None


class Curve(msgspec.Struct, frozen=True):
    """What was measured, and what a power law makes of it at 1, 2 and 4 times the pictures (10 to 90 % band)."""

    name: str
    measured: tuple[Point, ...]
    expected: tuple[Point, ...]
    needed: Needed


def learning_curves(
    features: NDArray[np.floating[Any]],
    truth: NDArray[np.int64],
    groups: list[int],
    labels: tuple[str, ...],
    seed: int = 0,
    reach: float = REACH,
) -> list[Curve]:
    """The curve of balanced accuracy, then one of each class's recall, from a probe on shares of the pictures; for each, how
    many pictures it takes to `reach` an accuracy.

    A fifth is held out in turn, so that all points judge the same pictures; near-duplicates stay together.
    """
    recalls = np.stack([_repeat(features, truth, groups, len(labels), seed + r) for r in range(REPEATS)])
    counts = np.bincount(truth, minlength=len(labels))
    # The mean of recalls is as sure as so many pictures, judged without regard to classes.
    alike = len(labels) ** 2 / float((1 / np.maximum(counts, 1)).sum())
    curves = [_curve("balanced accuracy", len(truth), np.nanmean(recalls, axis=2), alike, reach)]
    for i, label in enumerate(labels):
        curves.append(_curve(label, int(counts[i]), recalls[:, :, i], float(counts[i]), reach))
    return curves


def _repeat(
    features: NDArray[np.floating[Any]], truth: NDArray[np.int64], groups: list[int], classes: int, seed: int
) -> NDArray[np.float64]:
    """Recall by share and class for one division."""
    folds = folds_of(truth, groups, seed)
    test = folds == seed % FOLDS
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.flatnonzero(~test))
    found = []
    for share in SHARES:
        chosen = np.concatenate([_first(order, truth, label, share) for label in range(classes)])
        chances = predict(features, truth, chosen, np.flatnonzero(test), classes, PENALTY)
        confusion = confusion_matrix(truth[test], chances.argmax(axis=1), classes)
        support = confusion.sum(axis=1)
        found.append(np.where(support > 0, confusion.diagonal() / np.maximum(support, 1), np.nan))
    return np.array(found)


def _first(order: NDArray[np.int64], truth: NDArray[np.int64], label: int, share: float) -> NDArray[np.int64]:
    """The first so many of one class; at least two, since one picture is no class."""
    mine = order[truth[order] == label]
    found: NDArray[np.int64] = mine[: max(2, round(share * (truth == label).sum()))]
    return found


def _curve(name: str, available: int, accuracy: NDArray[np.float64], judged: float, reach: float) -> Curve:
    """`accuracy`: repeats × shares of the `available` pictures."""
    pictures = np.array(SHARES) * float(available)
    measured = tuple(
        Point(float(n), float(np.nanmean(column)), float(np.nanmin(column)), float(np.nanmax(column)))
        for n, column in zip(pictures, accuracy.T, strict=True)
    )
    ahead = extrapolated(pictures, accuracy, [a * available for a in AHEAD], judged)
    return Curve(name, measured, ahead, needed_for(pictures, accuracy, available, reach, judged))


def extrapolated(
    pictures: NDArray[np.float64], accuracy: NDArray[np.float64], ahead: list[float], judged: float = math.inf
) -> tuple[Point, ...]:
    """Power laws fitted to resampled repeats (`accuracy`: repeats × numbers of pictures): median, 10 and 90 % of what
    they say at the numbers of pictures `ahead`.

    The band says how much the measured points allow, not what other pictures than these would bring. `judged`: how many pictures
    judged them, for sixty right of sixty are no certainty.
    """
    fitted = _drawn_laws(pictures, accuracy, ahead, judged)
    low, middle, high = np.quantile(fitted, [0.1, 0.5, 0.9], axis=0)
    return tuple(Point(*(float(v) for v in point)) for point in zip(ahead, middle, low, high, strict=True))


def needed_for(
    pictures: NDArray[np.float64], accuracy: NDArray[np.float64], available: int, reach: float, judged: float = math.inf
) -> Needed:
    """From the same power laws: the number of pictures at which each first reaches an accuracy. Where what was measured stays below it,
    that is no number below the available one, however few pictures judged."""
    ahead = available * np.geomspace(float(pictures[0]) / available, FURTHEST, _STEPS)
    there = _drawn_laws(pictures, accuracy, ahead.tolist(), judged) >= reach
    first = np.where(there.any(axis=1), ahead[there.argmax(axis=1)], np.inf)
    if np.nanmean(accuracy[:, -1]) < reach:
        first = np.maximum(first, available)
    low, middle, high = (
        math.ceil(n) if math.isfinite(n) else None for n in np.quantile(first, [0.1, 0.5, 0.9], method="higher")
    )
    return Needed(reach, middle, low, high)


def _drawn_laws(
    pictures: NDArray[np.float64], accuracy: NDArray[np.float64], ahead: list[float], judged: float
) -> NDArray[np.float64]:
    """Values at the numbers of pictures `ahead` (draws × numbers) of power laws fitted to resampled repeats."""
    random = np.random.default_rng(0)
    drawn = np.nanmean(accuracy[random.integers(0, len(accuracy), (DRAWS, len(accuracy)))], axis=1)
    # One shift for a whole curve, since the same pictures judge all of its points.
    shifted = _shifted(drawn, random.normal(size=(DRAWS, 1)), judged)
    return _power_laws(pictures, shifted, np.array(ahead, np.float64))


def _shifted(rates: NDArray[np.float64], errors: NDArray[np.float64], judged: float) -> NDArray[np.float64]:
    """Rates that lie so many standard errors from those measured on `judged` pictures (E. Wilson, 1927)."""
    room = errors**2 / judged
    spread = errors * np.sqrt(rates * (1 - rates) / judged + room / (4 * judged))
    moved: NDArray[np.float64] = (rates + room / 2 + spread) / (1 + room)
    return moved


def _power_laws(
    n: NDArray[np.float64], accuracy: NDArray[np.float64], ahead: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each row of `accuracy` the best a − b·n^−c with b ≥ 0 and a ≤ 1, by trying exponents; its values at `ahead`."""
    basis = n[None, :] ** -EXPONENTS[:, None]  # exponents × n
    centred = basis - basis.mean(axis=1, keepdims=True)
    slope = -np.einsum("dn,en->de", accuracy, centred) / (centred**2).sum(axis=1)
    b = np.maximum(slope, 0.0)
    a = accuracy.mean(axis=1)[:, None] + b * basis.mean(axis=1)
    held = np.maximum(np.einsum("dn,en->de", 1.0 - accuracy, basis) / (basis**2).sum(axis=1), 0.0)
    a, b = np.minimum(a, 1.0), np.where(a > 1.0, held, b)
    error = ((a[..., None] - b[..., None] * basis - accuracy[:, None, :]) ** 2).sum(axis=2)
    best = error.argmin(axis=1)
    rows = np.arange(len(accuracy))
    values = a[rows, best][:, None] - b[rows, best][:, None] * ahead ** -EXPONENTS[best][:, None]
    clipped: NDArray[np.float64] = np.clip(values, 0.0, 1.0)
    return clipped
