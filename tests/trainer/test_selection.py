"""Whether a fine-tuned net counts instead of the one that it began with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgetl.trainer.blending import Blend
from edgetl.trainer.improvement import Judgement
from edgetl.trainer.selection import EpochRow, Progressing

TRUTH = np.repeat([0, 1], 10)


def judged(hits: int) -> Judgement:
    """So many of the twenty pictures are judged right, the wrong ones in turn from both classes."""
    wrong = {10 * (n % 2) + n // 2 for n in range(20 - hits)}
    return Judgement([1.5 if n in wrong else 0.3 for n in range(20)], [n not in wrong for n in range(20)])


def row(epoch: int, hits: int) -> EpochRow:
    return EpochRow(epoch, math.nan, math.nan, 0.5, hits / 20, 1e-3, 1.0)


def begun() -> Progressing:
    return Progressing(rows=[row(0, 18)], start=judged(18))


@pytest.mark.parametrize(
    ("hits", "margin", "counts"),
    [(17, -1.0, True), (17, 0.0, False), (11, -1.0, False), (19, 0.0, True), (19, 1.0, False), (20, 1.0, True)],
)
def test_margin_below_nothing_forgives_what_may_be_chance_and_no_more(hits: int, margin: float, counts: bool) -> None:
    """Of twenty pictures the start names eighteen."""
    at = begun()
    assert at.takes_lead(row(1, hits), judged(hits), TRUTH, margin) is counts
    assert at.leading_epoch == 1
    assert begun().yields_to(Blend(0.5, judged(hits)), TRUTH, margin) is counts


@pytest.mark.parametrize(("loss", "counts"), [(0.5, True), (3.0, False)])
def test_blend_that_was_judged_elsewhere_counts_beside_a_lucky_epoch_unless_val_is_sure_against_it(
    loss: float, counts: bool
) -> None:
    """Seventeen of the start's eighteen is what chance may do, and so is a loss of little more; not one of many times more."""
    at, wrong = begun(), judged(17)
    at.takes_lead(row(3, 20), judged(20), TRUTH, -1.0)
    blend = Blend(
        0.5, Judgement([one if hit else loss for one, hit in zip(wrong.losses, wrong.hits, strict=True)], wrong.hits)
    )
    assert not at.yields_to(blend, TRUTH, -1.0)
    assert at.yields_to(blend, TRUTH, -1.0, judged_elsewhere=True) is counts


def test_start_from_nothing_never_counts_beside_what_was_learned() -> None:
    """A head that says nothing is right on half of two classes; a net that was trained is what somebody asked for."""
    at = Progressing(rows=[row(0, 18)])
    assert at.takes_lead(row(1, 9), judged(9), TRUTH, 0.0)
