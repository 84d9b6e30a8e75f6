"""Makes probabilities mean what they say: one temperature for all logits (C. Guo et al., 2017, arXiv:1706.04599)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.decision import probabilities

_LEAST, _MOST = 0.05, 20.0
_BINS = 10


def log_loss(logits: NDArray[np.float32], truth: NDArray[np.int64], temperature: float) -> float:
    """The mean negative logarithm of the true label's probability. `logits` n×classes, `truth` n class indices."""
    chances = probabilities(logits, temperature)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chances, 1e-12)).mean())


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """The temperature with the smallest log loss, to 1 %. Where every picture is judged right the loss falls for ever with
    the temperature; then it is left at 1, since nothing is known of how sure the net may be."""
    if (logits.argmax(axis=1) == truth).all():
        return 1.0
    low, high = np.log(_LEAST), np.log(_MOST)
    while high - low > 0.01:
        tried = np.linspace(low, high, 9)
        best = int(np.argmin([log_loss(logits, truth, float(np.exp(t))) for t in tried]))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, 8)]
    return round(float(np.exp((low + high) / 2)), 4)


def calibration_error(logits: NDArray[np.float32], truth: NDArray[np.int64], temperature: float) -> float:
    """The expected calibration error: how far the scores are from the share that is right, over ten bins of scores."""
    chances = probabilities(logits, temperature)
    score, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    bins = np.minimum((score * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(float(right[bins == b].mean()) - float(score[bins == b].mean())) * (bins == b).mean() for b in set(bins)
    ]
    return float(sum(gaps))
