"""Makes reference.json: what the training pictures looked like, and how sure the shipped model is of others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from edgetl.runtime.decision import DecisionRule, decide
from edgetl.runtime.evaluation import Logits
from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import (
    QUANTILES,
    Confidence,
    LogitSpread,
    Reference,
    Spread,
    confidence_of,
    figures_of,
    novelty_of,
)

_FEW = 8  # pictures of a label below which its logits' spread is taken from all labels together


def describe(pictures: Iterable[tuple[str, Image]], confidence: Confidence | None = None) -> Reference:
    """The reference of a set of model inputs with their labels, taken one at a time."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for label, image in pictures:
        rows[label].append(figures_of(image))
    everything = [row for of_label in rows.values() for row in of_label]
    means = {label: _means(of_label) for label, of_label in sorted(rows.items())}
    return Reference(len(everything), QUANTILES, _spreads(everything), means, confidence)


def confidence(model: str, images: Iterable[Image], logits: Logits, rule: DecisionRule) -> Confidence:
    """How sure a model file is of pictures that did not train it; `logits` is its inference."""
    answers = np.array([logits(image) for image in images])
    given = [decide(answer, rule).label for answer in answers]
    spreads = _logit_spreads(answers, given)
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    alike = Counter(given)
    for answer, label in zip(answers, given, strict=True):
        novelty = _novelty(answer, spreads[label], alike[label])
        rows[label].append(confidence_of(answer, rule.temperature) | {"novelty": novelty})
    everything = [row for of_label in rows.values() for row in of_label]
    means = {label: _means(of_label) for label, of_label in sorted(rows.items())}
    return Confidence(model, len(given), _spreads(everything), means, spreads)


def _novelty(answer: np.ndarray, of_label: LogitSpread, pictures: int) -> float:  # type: ignore[type-arg]
    """A picture's novelty beside the others of its label. The label's mean has the picture in it, which brings the two nearer
    than a frame of the line would be; one that is alone in its label is like it."""
    if pictures == 1:
        return 0.0
    mean = np.asarray(of_label.mean)
    return novelty_of(mean + (answer - mean) * pictures / (pictures - 1), of_label)


def _logit_spreads(answers: np.ndarray, given: list[str]) -> dict[str, LogitSpread]:  # type: ignore[type-arg]
    labels = np.array(given)
    centred = np.concatenate([answers[labels == label] - answers[labels == label].mean(axis=0) for label in set(given)])
    spreads = {}
    for label in sorted(set(given)):
        own = answers[labels == label]
        std = own.std(axis=0, ddof=1) if len(own) >= _FEW else centred.std(axis=0)
        spreads[label] = LogitSpread(_rounded(own.mean(axis=0)), _rounded(std))
    return spreads


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 5) for name in rows[0]}


def _spreads(rows: list[dict[str, float]]) -> dict[str, Spread]:
    return {name: _spread(np.array([row[name] for row in rows])) for name in rows[0]}


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Spread:
    return Spread(
        round(float(values.mean()), 5), round(float(values.std()), 5), _rounded(np.quantile(values, QUANTILES))
    )
