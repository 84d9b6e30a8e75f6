"""The pictures of one training run, as arrays, with their splits."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.trainer.network import pixels_of


class TrainingData(msgspec.Struct):
    """`images` n×S×S×3 uint8 (may be memory-mapped), `targets` n class indices, `splits` n split names."""

    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    splits: NDArray[np.str_]
    labels: tuple[str, ...]

    def rows(self, split: str) -> NDArray[np.int64]:
        """The positions of one split's pictures."""
        return np.flatnonzero(self.splits == split)

    def class_weights(self) -> Tensor:
        """Loss weights that make every class count the same in train, mean 1 over the pictures."""
        counts = np.bincount(self.targets[self.rows("train")], minlength=len(self.labels)).astype(np.float64)
        weights = counts.sum() / (len(self.labels) * np.maximum(counts, 1))
        return torch.tensor(weights, dtype=torch.float32)

    def batches(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels (N×3×S×S float, 0 to 255) and targets of the given rows, in their order."""
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield pixels_of(torch.from_numpy(self.images[part])), torch.from_numpy(self.targets[part])


def shuffled(rows: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The rows in the order of one epoch; the same seed and epoch give the same order."""
    return np.random.default_rng([seed, epoch]).permutation(rows)
