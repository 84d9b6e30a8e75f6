"""Which pictures are worth a person's look: pure choices on what a network said of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.decision import DecisionRule, probabilities


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One picture: its number in the split, its class, the likeliest class, and the chances of both."""

    number: int
    path: str
    truth: int
    guess: int
    chance: float
    chance_of_truth: float

    @property
    def right(self) -> bool:
        """Whether the likeliest class is the picture's."""
        return self.guess == self.truth


def judged(
    paths: Sequence[str], truth: NDArray[np.int64], logits: NDArray[np.float32], rule: DecisionRule
) -> list[Judged]:
    """Every picture of a split with what its logits (pictures × labels) say."""
    chances = probabilities(logits, rule.temperature)
    guesses = chances.argmax(axis=1)
    return [
        Judged(
            number=i, path=paths[i], truth=int(truth[i]), guess=int(guesses[i]), chance=float(chances[i, guesses[i]]),
            chance_of_truth=float(chances[i, truth[i]]),
        )
        for i in range(len(paths))
    ]  # fmt: skip


def worst(pictures: Sequence[Judged], most: int) -> list[Judged]:
    """The mistakes, the surest first: a wrong label, or what the net does not see."""
    wrong = (p for p in pictures if not p.right)
    return sorted(wrong, key=lambda p: p.chance_of_truth - p.chance)[:most]


def barely(pictures: Sequence[Judged], most: int) -> list[Judged]:
    """Those that were judged right with the least chance: the next mistakes."""
    return sorted((p for p in pictures if p.right), key=lambda p: p.chance)[:most]
