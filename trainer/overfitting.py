"""Notices overfitting while it happens: the net learns its training pictures by heart, and loses the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Protocol

FEWEST, MOST = 4, 6  # losses in a row that can tell of it
WORSE = 1.02  # validation loss by which it must have risen over them, as a factor


class Losses(Protocol):
    """The two losses of an epoch."""

    @property
    def train_loss(self) -> float:
        """On the training pictures, as augmented."""

    @property
    def val_loss(self) -> float:
        """On the validation pictures."""


def overfitting(rows: Sequence[Losses]) -> int:
    """Over how many of the last epochs the loss in training fell and that on val rose; 0 for none. `rows` begins where
    something was last done against it.

    Both must do so as a trend, which chance shows in one of twenty at most (M. G. Kendall, Biometrika 30, 1938): of four
    losses none may stand the wrong way round with another, of five one pair, of six two. The state before training (a NaN in
    training) does not count: from a fitted head any first step leads up, and that passes.
    """
    for count in range(FEWEST, min(MOST, len(rows)) + 1):
        last = rows[-count:]
        learnt = [row.train_loss for row in reversed(last)]
        lost = [row.val_loss for row in last]
        if _rises(learnt, count - FEWEST) and _rises(lost, count - FEWEST) and lost[-1] > WORSE * lost[0]:
            return count - 1
    return 0


def _rises(values: Sequence[float], exceptions: int) -> bool:
    """Whether the values rise, but for so many pairs of them. A NaN rises from none and to none, which is more pairs than may."""
    return sum(not before < after for before, after in combinations(values, 2)) <= exceptions
