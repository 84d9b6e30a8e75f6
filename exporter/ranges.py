"""Which range of an activation its 256 int8 steps should span: rules on a histogram of what was seen.

A range always holds zero, since padding and sparse activations must be exact there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgetl.exporter.quantization import RangeRule

BINS = 2048
SAMPLE = (
    1 << 15
)  # values of one tensor on one picture that are counted; counting all of them took longer than computing them
STEPS = 255  # between the 256 values of an int8
TAIL = 1e-4  # of the values, on each side, that the percentile rule leaves out
SHARES = np.linspace(0.2, 1.0, 41)  # of the full range, tried by the rules that search

ROOM = 0.3  # beyond what was seen, for what was never seen

_ROOM = 0.1  # of the logits' range, beyond what was seen

Range = tuple[float, float]
PIXEL_RANGE: Range = (0.0, 255.0)
Name = TypeVar("Name", bound=Hashable)


class Histogram:
    """Counts of one tensor's values in BINS equal bins from `low` to `high`."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = min(low, 0.0), max(high, 0.0)
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts more values, or a sample of them where there are very many; those outside fall into the outermost bins."""
        if self.high > self.low:
            # numpy.histogram takes four times as long, as it looks again at values that lie on an edge.
            bins = (_sampled(values) - np.float32(self.low)) / np.float32(self.high - self.low) * BINS
            self.counts += np.bincount(np.clip(bins, 0, BINS - 1).astype(np.intp), minlength=BINS)

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        edges = np.linspace(self.low, self.high, BINS + 1)
        return (edges[:-1] + edges[1:]) / 2


Seen = Callable[[], Iterable[tuple[Name, NDArray[np.float32]]]]


def spans_of(names: Iterable[Name], seen: Seen[Name]) -> dict[Name, Range]:
    """The smallest and the largest value of each of the named tensors, and zero."""
    spans = dict.fromkeys(names, (0.0, 0.0))
    for name, values in seen():
        low, high = spans[name]
        spans[name] = min(low, float(values.min())), max(high, float(values.max()))
    return spans


def histograms_of(names: Iterable[Name], seen: Seen[Name]) -> dict[Name, Histogram]:
    """The histograms of the named tensors, in two passes over what `seen` gives: the ends of each, then its counts."""
    histograms = {name: Histogram(*span) for name, span in spans_of(names, seen).items()}
    for name, values in seen():
        histograms[name].add(values)
    return histograms


def _sampled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """SAMPLE of the values, the same ones each time; all where they are no more."""
    flat = values.reshape(-1)
    return flat if flat.size <= SAMPLE else flat[_places(flat.size)]


@lru_cache(maxsize=64)  # a net has few sizes of tensors
def _places(size: int) -> NDArray[np.int64]:
    """Places by seed, and not at a distance: it would meet the same channels again and again."""
    return np.random.default_rng(0).integers(0, size, SAMPLE)


def bounded(within: Range, bounds: Range) -> Range:
    """A range without what lies beyond the bounds of a clip. There it has no values, and where a quantized graph leaves the clip
    itself out, as onnxruntime's do, the end of the range is all that cuts off."""
    return max(within[0], min(bounds[0], 0.0)), min(within[1], max(bounds[1], 0.0))


def range_of(histogram: Histogram, rule: RangeRule, *, logits: bool = False) -> Range:
    """The range that a rule chooses; logits have their own by any rule but the one that leaves everything room."""
    if logits and rule != "fourfold":
        return _logits(histogram)
    if rule == "min-max" or not histogram.counts.any():
        return histogram.low, histogram.high
    return _RULES[rule](histogram)


def _logits(histogram: Histogram) -> Range:
    """The range of the logits: what calibration pictures gave, and a tenth more on each side, since a part that is not like
    them may be surer. Every step counts there, as the decision is a difference of two of them."""
    seen = np.flatnonzero(histogram.counts)
    if not seen.size:
        return histogram.low, histogram.high
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    low, high = min(float(edges[seen[0]]), 0.0), max(float(edges[seen[-1] + 1]), 0.0)
    return low - _ROOM * (high - low), high + _ROOM * (high - low)


def _roomy(histogram: Histogram) -> Range:
    return histogram.low * (1 + ROOM), histogram.high * (1 + ROOM)


def _fourfold(histogram: Histogram) -> Range:
    """For int16, which has steps to spare: what was never seen is not cut off, and two of sixteen bits are lost."""
    return 4 * histogram.low, 4 * histogram.high


def _percentile(histogram: Histogram) -> Range:
    below = np.cumsum(histogram.counts) / histogram.counts.sum()
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    low = edges[int(np.searchsorted(below, TAIL, side="right"))]
    high = edges[int(np.searchsorted(below, 1 - TAIL, side="left")) + 1]
    return min(float(low), 0.0), max(float(high), 0.0)


def _mse(histogram: Histogram) -> Range:
    return _least(histogram, _squared_error)


def _entropy(histogram: Histogram) -> Range:
    return _least(histogram, _divergence)


def _least(histogram: Histogram, cost: Callable[[Histogram, Range], float]) -> Range:
    """The cheapest range: first both ends shrink together, then each alone."""
    full = (histogram.low, histogram.high)
    best = min(((full[0] * s, full[1] * s) for s in SHARES[::-1]), key=lambda r: cost(histogram, r))
    best = min(((best[0], full[1] * s) for s in SHARES[::-1]), key=lambda r: cost(histogram, r)) if full[1] else best
    return min(((full[0] * s, best[1]) for s in SHARES[::-1]), key=lambda r: cost(histogram, r)) if full[0] else best


def _levels(values: NDArray[np.float64], within: Range) -> NDArray[np.float64]:
    """The index of the int8 step that each value rounds to."""
    step = max((within[1] - within[0]) / STEPS, 1e-12)
    levels: NDArray[np.float64] = np.clip(np.rint((values - within[0]) / step), 0, STEPS)
    return levels


def _squared_error(histogram: Histogram, within: Range) -> float:
    values = histogram.centres
    step = max((within[1] - within[0]) / STEPS, 1e-12)
    zero = np.rint(-within[0] / step)
    back = (np.clip(np.rint(values / step) + zero, 0, STEPS) - zero) * step
    return float((histogram.counts * (back - values) ** 2).sum())


def _divergence(histogram: Histogram, within: Range) -> float:
    """Kullback-Leibler divergence of the rounded distribution from the true one, as calibrators of TensorRT's kind take
    it: values outside fall to the ends of the true one, within a step the counted bins share evenly, and the bin of
    zero is left out, since half of a rectified tensor lies there and is exact whatever the range."""
    values, counts = histogram.centres, histogram.counts.astype(np.float64)
    counts[np.abs(values).argmin()] = 0.0
    inside = (values >= within[0]) & (values <= within[1])
    if not (inside & (counts > 0)).any():
        return float("inf")
    true = np.where(inside, counts, 0.0)
    first, last = np.flatnonzero(inside)[[0, -1]]
    true[first] += counts[:first].sum()
    true[last] += counts[last + 1 :].sum()
    levels = _levels(values, within).astype(np.int64)
    seen = inside & (counts > 0)
    mass = np.bincount(levels[inside], counts[inside], STEPS + 1)
    sharers = np.bincount(levels[seen], minlength=STEPS + 1)
    rounded = np.where(seen, mass[levels] / np.maximum(sharers[levels], 1), 0.0)
    return _kl(true / true.sum(), rounded / max(rounded.sum(), 1.0))


def _kl(true: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    some = true > 0
    return float((true[some] * np.log(true[some] / np.maximum(other[some], 1e-9))).sum())


_RULES: dict[str, Callable[[Histogram], Range]] = {
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _mse,
    "roomy": _roomy,
    "fourfold": _fourfold,
}
