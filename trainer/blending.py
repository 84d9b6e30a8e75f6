"""Weights between those that fine-tuning began with and those that it ended with.

A net that was fine-tuned on few pictures has learned what helps and what these few have by chance. On the straight line back to
the net that it began with lie nets that keep most of the first and lose most of the second: both ends share so much that the nets
between them work as well (M. Wortsman et al., Robust fine-tuning of zero-shot models, 2022, arXiv:2109.01903). Half way is good on
many sets; val of a few pictures may say otherwise only where it is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edgetl.trainer.improvement import LUCK, Judgement, balanced_loss, improvement

HALF = 0.5
SHARES = (0.25, HALF, 0.75, 1.0)

Weights = Mapping[str, Tensor]


class Blend(msgspec.Struct, frozen=True):
    """A net `share` of the way from the start to the end, and what it made of val, or of what else judges."""

    share: float
    judgement: Judgement


def between(start: Weights, end: Weights, share: float) -> dict[str, Tensor]:
    """The weights `share` of the way from `start` to `end`; what is no real number, as a counter, is the end's."""
    return {
        name: start[name].to(value.device).lerp(value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }


def blends_of(
    start: Weights, end: Weights, judge: Callable[[Weights], Judgement], least: float = 0.0
) -> tuple[Blend, ...]:
    """The nets between two that are at least so much of the way from the start, judged; the end is always one."""
    return tuple(Blend(share, judge(between(start, end, share))) for share in SHARES if share >= least)


def best_blend(blends: Sequence[Blend], truth: NDArray[np.int64]) -> Blend:
    """The blend with the smallest loss, where that is smaller than half way by more than luck; else the one half way, or where
    none is so near to the start the nearest. The loss tells nets apart that name the same classes, and so is less a matter of chance
    than accuracy on a few pictures.
    `truth`: N class indices of what is judged."""
    best = min(blends, key=lambda blend: balanced_loss(blend.judgement, truth))
    half = next(blend for blend in blends if blend.share >= HALF)
    found = improvement(half.judgement, best.judgement, truth)
    return best if found.loss > LUCK * found.loss_error else half
