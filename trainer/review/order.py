"""Which picture to label next: the one that would teach most. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.collect.record import Collected

_FLOOR = 0.2  # a picture the model is sure of teaches something too, if it looks like nothing seen before


def doubt_of(record: Collected) -> float:
    """How little the model knows of a picture, 0 to 1: one minus its best probability; at least a half if UNKNOWN."""
    doubt = 1.0 if record.score is None else 1.0 - record.score
    return max(doubt, 0.5) if record.verdict == "UNKNOWN" else doubt


def by_teaching(doubts: NDArray[np.float64], prints: NDArray[np.uint8]) -> list[int]:
    """Positions in the order in which to label: each next picture has the largest doubt times distance to those
    before it, so that ten frames of one part do not come in a row.

    `prints` are thumbnails, n×256 uint8; distance is their mean difference. Greedy, as k-centre selection for active
    learning is (Sener and Savarese, 2018, arXiv:1708.00489).
    """
    n = len(doubts)
    if n == 0:
        return []
    weight = _FLOOR + doubts
    thumbs = prints.astype(np.float32)
    nearest = np.full(n, np.inf)
    open_ = np.ones(n, bool)
    order = [int(weight.argmax())]
    for _ in range(n - 1):
        last = order[-1]
        open_[last] = False
        nearest = np.minimum(nearest, np.abs(thumbs - thumbs[last]).mean(axis=1))
        order.append(int(np.where(open_, weight * (1.0 + nearest), -1.0).argmax()))
    return order
