"""Figures of merit from true and predicted classes, with intervals; numpy only, so that a device can compute them."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # the two-sided 95 % point of the normal distribution


class Interval(msgspec.Struct, frozen=True):
    """A 95 % confidence interval."""

    low: float
    high: float


class ClassMetrics(msgspec.Struct, frozen=True):
    """Precision and recall of one class (0 to 1, Wilson intervals); None where the denominator is zero."""

    pictures: int
    recall: float | None
    recall_interval: Interval | None
    precision: float | None
    precision_interval: Interval | None


class Metrics(msgspec.Struct, frozen=True):
    """All figures of one evaluation. `confusion[i][j]`: pictures of class i judged as class j."""

    n: int
    balanced_accuracy: float
    balanced_accuracy_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    per_class: dict[str, ClassMetrics]
    labels: tuple[str, ...]
    confusion: list[list[int]]


def wilson(successes: int, trials: int) -> Interval | None:
    """Wilson's score interval of a proportion (E. B. Wilson, 1927); None without trials."""
    if trials == 0:
        return None
    p, zz = successes / trials, Z95 * Z95 / trials
    middle = (p + zz / 2) / (1 + zz)
    half = Z95 * math.sqrt(p * (1 - p) / trials + zz / (4 * trials)) / (1 + zz)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


class Auroc(msgspec.Struct, frozen=True):
    """The chance that a bad part gets a higher score than a good one (area under the ROC curve), with its interval."""

    value: float
    interval: Interval
    good: int
    bad: int


def auroc(scores: NDArray[np.float64], bad: NDArray[np.bool_]) -> Auroc | None:
    """The area under the ROC curve of scores (n) for parts that are `bad` (n) or not; None where one kind is missing.

    The interval is that of R. Newcombe (Statistics in Medicine 25, 2006, method 5), which still has a width where no
    pair is the wrong way round.
    """
    others, own = scores[~bad], scores[bad]
    if not len(own) or not len(others):
        return None
    ordered = np.sort(others)
    below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    value = float(below.sum() / (2 * len(own) * len(others)))
    return Auroc(value, _auroc_interval(value, len(own), len(others)), len(others), len(own))


def _auroc_interval(value: float, bad: int, good: int) -> Interval:
    """The areas that lie no further from the one found than 1.96 of their own standard errors."""
    extra = (bad + good) / 2 - 1

    def away(area: float) -> float:
        variance = area * (1 - area) * (1 + extra * ((1 - area) / (2 - area) + area / (1 + area))) / (bad * good)
        return (value - area) ** 2 - Z95**2 * variance

    return Interval(_edge(away, value, 0.0), _edge(away, value, 1.0))


def confusion_matrix(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts of shape (classes, classes): rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """The mean recall over the classes that have pictures."""
    support = confusion.sum(axis=1)
    present = support > 0
    return float((confusion.diagonal()[present] / support[present]).mean()) if present.any() else 0.0


def balanced_interval(confusion: NDArray[np.int64]) -> Interval:
    """The means of recalls that lie no further from the one found than 1.96 of their own standard errors, all recalls moved alike:
    Wilson's interval for a mean of several proportions. It holds the value, and has a width at 0 and 100 %."""
    support = confusion.sum(axis=1)
    pictures = support[support > 0]
    if not pictures.size:
        return Interval(0.0, 1.0)
    recalls = confusion.diagonal()[support > 0] / pictures
    value = float(recalls.mean())

    def away(mean: float) -> float:
        moved = np.clip(recalls + (mean - value), 0.0, 1.0)
        return (value - mean) ** 2 - Z95**2 * float((moved * (1 - moved) / pictures).sum()) / len(pictures) ** 2

    return Interval(_edge(away, value, 0.0), _edge(away, value, 1.0))


def _edge(away: Callable[[float], float], near: float, far: float) -> float:
    """Where `away` becomes positive between what was found and an end."""
    for _ in range(50):
        middle = (near + far) / 2
        near, far = (near, middle) if away(middle) > 0 else (middle, far)
    return (near + far) / 2


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def measure(truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: tuple[str, ...]) -> Metrics:
    """Metrics of predictions against the truth, both arrays of class indices of shape (n,)."""
    confusion = confusion_matrix(truth, predicted, len(labels))
    right = int(confusion.diagonal().sum())
    per_class: dict[str, ClassMetrics] = {}
    for i, label in enumerate(labels):
        hits, actual, claimed = (int(v) for v in (confusion[i, i], confusion[i].sum(), confusion[:, i].sum()))
        per_class[label] = ClassMetrics(
            actual, _ratio(hits, actual), wilson(hits, actual), _ratio(hits, claimed), wilson(hits, claimed)
        )
    return Metrics(
        n=len(truth),
        balanced_accuracy=balanced_accuracy(confusion),
        balanced_accuracy_interval=balanced_interval(confusion),
        accuracy=right / len(truth) if len(truth) else 0.0,
        accuracy_interval=wilson(right, len(truth)) or Interval(0.0, 1.0),
        per_class=per_class,
        labels=labels,
        confusion=confusion.tolist(),
    )
