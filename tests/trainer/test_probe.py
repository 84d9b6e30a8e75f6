"""A linear head on frozen features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edgetl.trainer import probe
from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.network import Network
from edgetl.trainer.probe import fit_head, train_probe
from edgetl.trainer.progress import SilentReporter

EVEN = torch.ones(3)


def clouds(count: int, width: int, apart: float, seed: int) -> tuple[Tensor, Tensor]:
    """Features of three classes: `width` figures, of which the first three tell the class."""
    numbers = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 3
    features = torch.randn(count, width, generator=numbers)
    features[torch.arange(count), targets] += apart
    return features, targets


def test_classes_that_can_be_told_apart_are_told_apart() -> None:
    train, targets = clouds(60, 8, 12.0, 1)
    val, val_targets = clouds(30, 8, 12.0, 2)
    head = fit_head(train, targets, val, val_targets, EVEN)
    assert head.val_balanced_accuracy == 1.0
    assert torch.equal((val @ head.weight.T + head.bias).argmax(dim=1), val_targets)


@pytest.mark.parametrize(("width", "apart"), [(4, 6.0), (64, 1.0)])
def test_penalty_is_the_one_that_is_best_on_val(width: int, apart: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (*clouds(45, width, apart, 1), *clouds(90, width, apart, 2), EVEN)
    chosen = fit_head(*sets)
    losses = {}
    for penalty in probe.PENALTIES:
        with monkeypatch.context() as patch:
            patch.setattr(probe, "PENALTIES", (penalty,))
            losses[penalty] = fit_head(*sets).val_loss
    assert chosen.penalty == min(losses, key=losses.__getitem__)
    # It began from the head of another penalty; a loss of nearly nothing is as far from exact as LBFGS leaves it.
    assert chosen.val_loss == pytest.approx(min(losses.values()), rel=1e-3, abs=1e-5)
    assert max(losses.values()) > 1.1 * chosen.val_loss  # it made a difference


def test_weaker_penalties_than_the_first_worse_one_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, fit = [], probe.fit_linear

    def noting(
        features: Tensor, targets: Tensor, weights: Tensor, penalty: float, *start: Any
    ) -> tuple[Tensor, Tensor]:
        tried.append(penalty)
        return fit(features, targets, weights, penalty, *start)

    monkeypatch.setattr(probe, "fit_linear", noting)
    chosen = fit_head(*clouds(45, 64, 1.0, 1), *clouds(90, 64, 1.0, 2), EVEN)
    assert tried == list(probe.PENALTIES[: len(tried)]) and tried[-2] == chosen.penalty
    assert len(tried) < len(probe.PENALTIES)


def test_few_pictures_with_many_figures_are_held_back_more_than_clear_ones() -> None:
    clear = fit_head(*clouds(60, 4, 12.0, 1), *clouds(30, 4, 12.0, 2), EVEN)
    noisy = fit_head(*clouds(30, 64, 1.0, 1), *clouds(90, 64, 1.0, 2), EVEN)
    assert noisy.penalty > clear.penalty


def test_unit_of_the_features_and_their_offsets_do_not_matter() -> None:
    """Features are scaled to fit and the head is folded back: another unit and other offsets, the same logits."""
    train, targets = clouds(60, 8, 3.0, 1)
    val, val_targets = clouds(30, 8, 3.0, 2)
    offsets = torch.tensor([3.0, -500.0, 0.0, 40.0, 1.0, -20.0, 7.0, -0.5])
    plain = fit_head(train, targets, val, val_targets, EVEN)
    other = fit_head(train * 100 + offsets, targets, val * 100 + offsets, val_targets, EVEN)
    assert other.penalty == plain.penalty
    theirs = (val * 100 + offsets) @ other.weight.T + other.bias
    assert torch.allclose(theirs, val @ plain.weight.T + plain.bias, atol=2e-3)


@pytest.mark.parametrize("fainter", [0.6, 0.3])
def test_feature_that_varies_less_counts_less_but_not_in_proportion(fainter: float) -> None:
    """Two features tell the classes apart equally well, and one of them varies less."""
    targets = torch.arange(4000) % 2
    train = torch.randn(4000, 2, generator=torch.Generator().manual_seed(1)) + 2.0 * targets[:, None]
    train[:, 1] *= fainter
    mean, unit = probe.moments(train)
    weight, _ = probe.folded(
        *probe.fit_linear(probe.standardized(train, mean, unit), targets, torch.ones(2), 1.0), mean, unit
    )
    counts = (weight[1] * train.std(dim=0)).tolist()
    assert fainter**2 * counts[0] < counts[1] < 0.99 * counts[0]


def test_feature_that_never_changes_does_no_harm() -> None:
    train, targets = clouds(60, 8, 12.0, 1)
    val, val_targets = clouds(30, 8, 12.0, 2)
    train[:, 5] = 4.0
    val[:, 5] = 4.0
    head = fit_head(train, targets, val, val_targets, EVEN)
    assert torch.isfinite(head.weight).all() and torch.isfinite(head.bias).all()
    assert head.val_balanced_accuracy == 1.0


def test_rare_class_counts_as_much_as_a_common_one() -> None:
    """Two overlapping classes, one ten times as frequent: with weights the border lies in the middle."""
    numbers = torch.Generator().manual_seed(0)
    train = torch.cat([torch.randn(300, 1, generator=numbers), torch.randn(30, 1, generator=numbers) + 1.5])
    targets = torch.tensor([0] * 300 + [1] * 30)
    val = torch.cat([torch.randn(500, 1, generator=numbers), torch.randn(500, 1, generator=numbers) + 1.5])
    val_targets = torch.tensor([0] * 500 + [1] * 500)
    weights = torch.tensor([330 / 600, 330 / 60])
    weighted = fit_head(train, targets, val, val_targets, weights).val_balanced_accuracy
    assert weighted > fit_head(train, targets, val, val_targets, torch.ones(2)).val_balanced_accuracy
    assert weighted > 0.74  # the best there is: 77 %


def coloured(count: int) -> TrainingData:
    """Noisy red, green and blue pictures."""
    numbers = np.random.default_rng(0)
    targets = np.arange(count) % 3
    images = numbers.integers(0, 120, (count, 32, 32, 3), np.uint8)
    images[np.arange(count), :, :, targets] += 100
    splits = np.array(["val" if i % 4 == 0 else "train" for i in range(count)])
    return TrainingData(images, targets.astype(np.int64), splits, ("r", "g", "b"))


def test_network_with_the_probe_gives_what_the_probe_promised() -> None:
    data = coloured(72)
    torch.manual_seed(0)
    network = Network(describe("mobilenet_v2_050"), 3, 32)
    head, _ = train_probe(network, data, 16, torch.device("cpu"), SilentReporter())
    rows = data.rows("val")
    with torch.inference_mode():
        network.eval()
        logits = torch.cat([network(pixels) for pixels, _ in data.batches(rows, 7)])
    assert head.val_balanced_accuracy == probe.balanced_of(logits, torch.from_numpy(data.targets[rows]))
    assert head.val_balanced_accuracy > 0.6  # a net of random weights sees colours; guessing gives a third


def test_class_weights_make_every_class_count_the_same() -> None:
    targets = np.array([0] * 30 + [1] * 10 + [2] * 5 + [2] * 50, np.int64)
    splits = np.array(["train"] * 45 + ["val"] * 50)
    weights = TrainingData(np.zeros((95, 1, 1, 3), np.uint8), targets, splits, ("a", "b", "c")).class_weights()
    totals = weights * torch.tensor([30.0, 10.0, 5.0])
    assert torch.allclose(totals, totals.mean().expand(3))
    assert float(totals.sum()) == pytest.approx(45)


def test_head_says_the_same_in_eight_bits_though_many_features_are_faint() -> None:
    """Two hundred of the features are a thousand times fainter than the others; drawn pictures leave a net with many of those."""
    scale = torch.where(torch.arange(256) < 56, 1.0, 1e-3)
    train, targets = clouds(120, 256, 3.0, 1)
    val, val_targets = clouds(300, 256, 3.0, 2)
    train, val = train * scale, val * scale
    head = fit_head(train, targets, val, val_targets, EVEN)
    step = head.weight.abs().max(dim=1, keepdim=True).values / 127  # one for each class, as converters have it
    guesses = (val @ head.weight.T + head.bias).argmax(dim=1)
    rounded = (val @ ((head.weight / step).round() * step).T + head.bias).argmax(dim=1)
    assert (rounded == guesses).float().mean() > 0.98
    assert head.val_balanced_accuracy > 0.75
