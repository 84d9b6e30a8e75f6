"""A net is called better when it is, and hardly ever when only the few pictures say so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgetl.trainer.improvement import Judgement, balanced_hits, balanced_loss, improvement, judgement


def judged(hits: list[int], loss: float = 0.5) -> Judgement:
    return Judgement([loss if hit else 2.0 for hit in hits], [bool(hit) for hit in hits])


def test_judgement_of_logits_does_not_mind_how_sure_the_net_is() -> None:
    logits = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 2.5], [1.0, 0.0]])
    targets = torch.tensor([0, 0, 1, 1])
    found = judgement(logits, targets)
    assert found.hits == [True, True, True, False]
    assert sum(found.losses) < float(F.cross_entropy(logits, targets, reduction="sum"))
    assert judgement(7 * logits, targets).losses == pytest.approx(found.losses, rel=0.05)
    assert judgement(logits.flip(0), targets.flip(0)).losses == pytest.approx(found.losses[::-1])


def test_balanced_figures_count_classes_alike() -> None:
    judged = Judgement([0.2, 0.2, 0.2, 1.0], [True, True, True, False])
    truth = np.array([0, 0, 0, 1])
    assert balanced_loss(judged, truth) == pytest.approx(0.6)
    assert balanced_hits(judged, truth) == pytest.approx(0.5)


def test_same_net_is_no_improvement() -> None:
    truth = np.array([0, 0, 0, 1, 1])
    found = improvement(judged([1, 0, 1, 1, 0]), judged([1, 0, 1, 1, 0]), truth)
    assert (found.accuracy, found.loss) == (0.0, 0.0) and found.accuracy_error > 0
    assert not found.beyond(0.0)


def test_classes_count_the_same_whatever_their_size() -> None:
    """Half of the ten pictures of a small class were won: that is a quarter of the balanced accuracy of two classes."""
    truth = np.array([0] * 1000 + [1] * 10)
    before, after = [1] * 1000 + [0] * 10, [1] * 1000 + [1, 0] * 5
    found = improvement(judged(before), judged(after), truth)
    assert found.accuracy == pytest.approx(0.25, abs=0.05)
    assert found.beyond(1.0)


@pytest.mark.parametrize("pictures", [1, 2])
def test_one_picture_of_a_rare_class_proves_nothing(pictures: int) -> None:
    truth = np.array([0] * 100 + [1] * pictures)
    before, after = [1] * 100 + [0] * pictures, [1] * 100 + [1] + [0] * (pictures - 1)
    found = improvement(Judgement([0.5] * len(truth), [bool(h) for h in before]),
                        Judgement([0.5] * len(truth), [bool(h) for h in after]), truth)  # fmt: skip
    assert found.accuracy > 0 and not found.beyond(1.0)


def test_fall_of_the_loss_counts_where_accuracy_stays_and_not_where_it_falls() -> None:
    truth = np.arange(40) % 2
    hits, fewer = [1] * 30 + [0] * 10, [1] * 26 + [0] * 14
    assert improvement(judged(hits, 0.6), judged(hits, 0.2), truth).beyond(1.0)
    assert not improvement(judged(hits, 0.2), judged(hits, 0.6), truth).beyond(0.0)
    surer = Judgement([0.1] * 40, [bool(hit) for hit in fewer])
    assert not improvement(judged(hits, 0.6), surer, truth).beyond(0.0)


def test_loss_that_clearly_fell_shows_that_a_net_is_not_clearly_worse() -> None:
    """Before named four of forty pictures more, and was far from sure of any."""
    truth = np.arange(40) % 2
    hits, fewer = [1] * 30 + [0] * 10, [1] * 26 + [0] * 14
    surer = improvement(judged(hits, 0.6), Judgement([0.2] * 40, [bool(hit) for hit in fewer]), truth)
    assert surer.accuracy < -surer.accuracy_error
    assert surer.beyond(-1.0) and not surer.beyond(0.0)
    as_sure = improvement(judged(hits, 0.6), judged(fewer, 0.6), truth)
    assert not as_sure.beyond(-1.0)


@pytest.mark.parametrize(("gain", "least", "most"), [(0.0, 0.0, 0.25), (0.1, 0.8, 1.0), (-0.1, 0.0, 0.01)])
def test_how_often_a_net_is_called_better(gain: float, least: float, most: float) -> None:
    """Drawn many times: 200 pictures, of which two nets judge 80 % and 80 % + gain right, each with its own mistakes."""
    numbers = np.random.default_rng(0)
    truth = np.arange(200) % 4
    called = 0
    for _ in range(300):
        hard = numbers.random(200)  # both find the same pictures hard
        before, after = (hard + 0.1 * numbers.standard_normal(200) < p for p in (0.8, 0.8 + gain))
        nets = [Judgement([0.2 if hit else 1.5 for hit in hits], hits.tolist()) for hits in (before, after)]
        called += improvement(nets[0], nets[1], truth).beyond(1.0)
    assert least <= called / 300 <= most
