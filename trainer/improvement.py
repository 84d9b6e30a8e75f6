"""Whether one net is better than another on the same pictures, or only seems so because they are few."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgetl.trainer.deciding.temperature import fit_temperature

LUCK = 1.0  # standard errors by which one of several nets that are alike may well seem better


class Judgement(msgspec.Struct, frozen=True):
    """What a net made of n pictures: each one's loss, once the net's chances mean what they say (one temperature for all, as the
    line will have it), and whether its class was named."""

    losses: list[float]
    hits: list[bool]


class Improvement(msgspec.Struct, frozen=True):
    """By how much balanced accuracy rose and the loss fell, each class counting the same, with standard errors."""

    accuracy: float
    accuracy_error: float
    loss: float
    loss_error: float

    def beyond(self, margin: float) -> bool:
        """Whether it is more than `margin` standard errors: of accuracy, or, where that did not fall, of the loss, which
        tells more of few pictures. A margin below 0 asks only that it is not clearly worse: a loss that fell by as many standard
        errors shows that too, since before may have named some pictures by luck."""
        if self.accuracy > margin * self.accuracy_error:
            return True
        return (margin < 0 or self.accuracy >= 0) and self.loss > abs(margin) * self.loss_error

    @property
    def clearly_worse(self) -> bool:
        """Whether the loss rose by more than luck."""
        return -self.loss > LUCK * self.loss_error


def judgement(logits: Tensor, targets: Tensor) -> Judgement:
    """Of N×classes logits and N class indices. A net that is too sure of itself is not worse for that: its temperature mends it,
    and a longer training always ends surer."""
    temperature = fit_temperature(logits.numpy(), targets.numpy())
    losses = F.cross_entropy(logits / temperature, targets, reduction="none")
    return Judgement(losses.tolist(), (logits.argmax(dim=1) == targets).tolist())


def balanced_loss(judged: Judgement, truth: NDArray[np.int64]) -> float:
    """The mean loss, each class counting the same. `truth`: N class indices."""
    return _balanced(np.array(judged.losses), truth)


def balanced_hits(judged: Judgement, truth: NDArray[np.int64]) -> float:
    """Balanced accuracy. `truth`: N class indices."""
    return _balanced(np.array(judged.hits, np.float64), truth)


def _balanced(values: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    labels = np.unique(truth)
    return math.fsum(float(values[truth == label].mean()) for label in labels) / len(labels)


def improvement(before: Judgement, after: Judgement, truth: NDArray[np.int64]) -> Improvement:
    """From one net to another, picture by picture: most of the noise is that of hard pictures, and both share it.

    To the changes of each class one that is won and one that is lost are added at half weight (A. Agresti and Y. Min,
    Statistics in Medicine 24, 2005), so that a class of one picture does not speak with certainty.
    """
    classes = [np.flatnonzero(truth == label) for label in np.unique(truth)]
    won = np.array(after.hits, np.float64) - np.array(before.hits, np.float64)
    fell = np.array(before.losses) - np.array(after.losses)
    accuracy, accuracy_error = _mean([won[rows] for rows in classes], 1.0)
    loss, loss_error = _mean([fell[rows] for rows in classes], float((fell**2).mean()))
    return Improvement(accuracy, accuracy_error, loss, loss_error)


def _mean(changes: list[NDArray[np.float64]], square: float) -> tuple[float, float]:
    """The mean over classes of their changes, and its standard error; `square` is that of an added change."""
    means = [float(own.sum()) / (len(own) + 2) for own in changes]
    variances = [
        (float((own**2).sum() + square) / (len(own) + 2) - mean**2) / (len(own) + 2)
        for own, mean in zip(changes, means, strict=True)
    ]
    return math.fsum(means) / len(changes), math.sqrt(math.fsum(variances)) / len(changes)
