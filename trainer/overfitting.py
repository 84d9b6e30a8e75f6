"""Notices overfitting while it happens: the net learns its training pictures by heart, and loses the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

EPOCHS = 3  # in a row; one or two happen by chance
WORSE = 1.02  # validation loss by which it must have risen over them, as a factor


class Losses(Protocol):
    """The two losses of an epoch."""

    @property
    def train_loss(self) -> float:
        """On the training pictures, as augmented."""

    @property
    def val_loss(self) -> float:
        """On the validation pictures."""


def overfits(rows: Sequence[Losses]) -> bool:
    """Whether over the last epochs the loss in training fell each time and that on val rose each time. `rows` begins
    where something was last done against it.

    The state before training (a NaN in training) does not count: from a fitted head any first step leads up, and that passes.
    """
    last = rows[-(EPOCHS + 1) :]
    if len(last) < EPOCHS + 1 or math.isnan(last[0].train_loss):
        return False
    pairs = list(pairwise(last))
    learns = all(after.train_loss <= before.train_loss for before, after in pairs)
    loses = all(after.val_loss > before.val_loss for before, after in pairs)
    return learns and loses and last[-1].val_loss > WORSE * last[0].val_loss
