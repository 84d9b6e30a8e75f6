"""Between the start and the end of a training lies the net that val finds best."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgetl.trainer.blending import HALF, SHARES, Weights, best_blend, between, blends_of
from edgetl.trainer.improvement import Judgement, balanced_loss, judgement

START = {"weight": torch.tensor([0.0, 4.0]), "steps": torch.tensor(0)}
END = {"weight": torch.tensor([4.0, 0.0]), "steps": torch.tensor(9)}


def test_weights_lie_on_the_line_and_counters_are_the_ends() -> None:
    found = between(START, END, 0.25)
    assert found["weight"].tolist() == [1.0, 3.0] and int(found["steps"]) == 9
    assert between(START, END, 1.0)["weight"].tolist() == [4.0, 0.0]
    assert START["weight"].tolist() == [0.0, 4.0]


@pytest.mark.parametrize("truth", [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (4.0, 0.0)])
def test_best_is_the_one_whose_direction_is_that_of_the_truth(truth: tuple[float, float]) -> None:
    """A linear net of two weights; pictures of two classes lie on the two sides of the plane that the truth describes."""
    points = torch.from_numpy(np.random.default_rng(0).standard_normal((4000, 2))).float()
    true = torch.tensor(truth)
    targets = (points @ true > 0).long()

    def judge(weights: Weights) -> Judgement:
        scores = points @ weights["weight"]
        return judgement(torch.stack([torch.zeros_like(scores), scores], dim=1), targets)

    found = best_blend(blends_of(START, END, judge), targets.numpy())
    assert found.share == SHARES[round(truth[0]) - 1]
    assert balanced_loss(found.judgement, targets.numpy()) < balanced_loss(judge(START), targets.numpy())


@pytest.mark.parametrize(("losses", "share"), [((0.2,) * 6, 0.75), ((0.1, 0.9, 0.1, 0.9, 0.1, 0.6), HALF)])
def test_half_way_counts_unless_val_is_sure_of_another(losses: tuple[float, ...], share: float) -> None:
    """Both times the net three quarters of the way has the smaller mean of losses."""

    def judge(weights: Weights) -> Judgement:
        three_quarters = float(weights["weight"][0]) == 3.0
        return Judgement(list(losses) if three_quarters else [0.5] * 6, [True] * 6)

    blends = blends_of(START, END, judge)
    assert [blend.share for blend in blends] == list(SHARES)
    assert best_blend(blends, np.array([0, 0, 0, 1, 1, 1])).share == share


def test_where_no_blend_is_so_near_to_the_start_as_half_way_the_nearest_counts_unless_val_is_sure_of_another() -> None:
    alike = blends_of(START, END, lambda _: Judgement([0.5] * 6, [True] * 6), least=0.75)
    assert [blend.share for blend in alike] == [0.75, 1.0]
    assert best_blend(alike, np.array([0, 0, 0, 1, 1, 1])).share == 0.75
