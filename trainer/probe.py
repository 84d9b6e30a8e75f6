"""The probe: a frozen backbone, its features computed once, and a linear head on them."""

from __future__ import annotations

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgetl.runtime.metrics import balanced_accuracy, confusion_matrix
from edgetl.trainer.data import TrainingData
from edgetl.trainer.network import Network
from edgetl.trainer.progress import Reporter

PENALTIES = (
    1e-1,
    1e-2,
    1e-3,
    1e-4,
)  # L2 penalties tried; features have unit variance, so they mean the same everywhere


class Head(msgspec.Struct):
    """A linear head: `weight` classes×features, `bias` classes. `penalty` was chosen on val."""

    weight: Tensor
    bias: Tensor
    penalty: float
    val_loss: float
    val_balanced_accuracy: float


@torch.inference_mode()
def compute_features(
    network: Network, data: TrainingData, rows: NDArray[np.int64], batch: int, device: torch.device, reporter: Reporter
) -> Tensor:
    """Features of the given pictures, N×features, on the CPU."""
    network.eval()
    reporter.begin("features", len(rows))
    found: list[Tensor] = []
    for pixels, _ in data.batches(rows, batch):
        found.append(network.features(pixels.to(device)).float().cpu())
        reporter.advance(sum(len(f) for f in found))
    return torch.cat(found)


def fit_head(train: Tensor, targets: Tensor, val: Tensor, val_targets: Tensor, class_weights: Tensor) -> Head:
    """Fits a head for each penalty and keeps the one with the smallest loss on val."""
    mean, std = train.mean(dim=0), train.std(dim=0).clamp_min(1e-6)
    best: Head | None = None
    for penalty in PENALTIES:
        weight, bias = _fit((train - mean) / std, targets, class_weights, penalty)
        weight = weight / std  # folded, so that the head takes plain features
        bias = bias - weight @ mean
        logits = val @ weight.T + bias
        loss = float(F.cross_entropy(logits, val_targets, class_weights))
        if best is None or loss < best.val_loss:
            best = Head(weight, bias, penalty, loss, balanced_of(logits, val_targets))
    assert best is not None
    return best


def _fit(features: Tensor, targets: Tensor, class_weights: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(len(class_weights), features.shape[1], requires_grad=True)
    bias = torch.zeros(len(class_weights), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(features @ weight.T + bias, targets, class_weights) + penalty * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def balanced_of(logits: Tensor, targets: Tensor) -> float:
    """Balanced accuracy of N×classes logits."""
    truth, predicted = targets.cpu().numpy(), logits.argmax(dim=1).cpu().numpy()
    return balanced_accuracy(confusion_matrix(truth, predicted, logits.shape[1]))


def train_probe(network: Network, data: TrainingData, batch: int, device: torch.device, reporter: Reporter) -> Head:
    """Fits the probe and puts it into the network's classifier."""
    rows, val_rows = data.rows("train"), data.rows("val")
    features = compute_features(network, data, np.concatenate([rows, val_rows]), batch, device, reporter)
    train, val = features[: len(rows)].clone(), features[len(rows) :].clone()
    targets, val_targets = (torch.from_numpy(data.targets[r]) for r in (rows, val_rows))
    head = fit_head(train, targets, val, val_targets, data.class_weights())
    with torch.no_grad():
        network.head.weight.copy_(head.weight.view_as(network.head.weight))
        network.head.bias.copy_(head.bias)
    return head
