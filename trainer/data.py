"""The pictures of one training run, as arrays, with their splits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.trainer.augment import without_colour
from edgetl.trainer.network import pixels_of
from edgetl.trainer.store import Pixels

CPU = torch.device("cpu")
WHOLE = slice(None)
_AHEAD = 2  # batches read in advance
_BLOCK = 1024  # pictures brought to a device at once
_LOOKED_AT = 64  # pictures looked at at once for colours: mostly the first of them has one


class Resident(msgspec.Struct, frozen=True):
    """Pictures in a device's memory, m×S×S×3 uint8, and the place of each of the data set's n among them, or −1."""

    images: Tensor
    places: NDArray[np.int64]


class TrainingData(msgspec.Struct):
    """`images` n×S×S×3 uint8 (may be on disk), `targets` n class indices, `splits` n split names."""

    images: NDArray[np.uint8] | Pixels
    targets: NDArray[np.int64]
    splits: NDArray[np.str_]
    labels: tuple[str, ...]
    resident: Resident | None = None

    def rows(self, split: str) -> NDArray[np.int64]:
        """The positions of one split's pictures."""
        return np.flatnonzero(self.splits == split)

    def class_weights(self) -> Tensor:
        """Loss weights that make every class count the same in train, mean 1 over the pictures."""
        counts = np.bincount(self.targets[self.rows("train")], minlength=len(self.labels)).astype(np.float64)
        weights = counts.sum() / (len(self.labels) * np.maximum(counts, 1))
        return torch.tensor(weights, dtype=torch.float32)

    def is_grey(self, split: str) -> bool:
        """Whether no picture of a split has a colour: then the camera has none. Where some have, those that have none come from another
        camera, and what is learned from the others should hold for them too."""
        rows = self.rows(split)
        parts = (self.images[rows[start : start + _LOOKED_AT]] for start in range(0, len(rows), _LOOKED_AT))
        return all(map(without_colour, parts))

    def order(self, split: str, seed: int, epoch: int, *, balanced: bool) -> NDArray[np.int64]:
        """A split's pictures in the order of one epoch, which the seed fixes; `balanced` draws as many, with
        replacement, from every class alike."""
        rows, random = self.rows(split), np.random.default_rng([seed, epoch])
        if not balanced:
            return random.permutation(rows)
        counts = np.bincount(self.targets[rows], minlength=len(self.labels))
        chances = 1.0 / counts[self.targets[rows]]
        return random.choice(rows, len(rows), p=chances / chances.sum())

    def batches(
        self, rows: NDArray[np.int64], size: int, device: torch.device = CPU, share: slice = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels (N×3×S×S float, 0 to 255) and targets of the given rows on a device, in their order. Of the pixels those of
        a `share` of each batch, of the targets all."""
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        for part, images in zip(parts, self._fed([part[share] for part in parts], device), strict=True):
            yield pixels_of(images), torch.from_numpy(self.targets[part]).to(device)

    def stay_on(self, device: torch.device, rows: NDArray[np.int64]) -> bool:
        """Keeps the pictures `rows` in the memory of a CUDA device, if that leaves half of it free; whether it does."""
        if device.type != "cuda" or 2 * len(rows) * self.images[rows[:1]].nbytes > torch.cuda.mem_get_info(device)[0]:
            return False
        places = np.full(len(self.targets), -1, np.int64)
        places[rows] = np.arange(len(rows))
        there = torch.empty((len(rows), *self.images.shape[1:]), dtype=torch.uint8, device=device)
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            there[start : start + len(part)] = torch.from_numpy(self.images[part])
        self.resident = Resident(there, places)
        return True

    def _fed(self, parts: list[NDArray[np.int64]], device: torch.device) -> Iterator[Tensor]:
        """The pictures of each part, N×S×S×3 uint8 on the device. They are read while the part before is worked on."""
        if self.resident is not None and self.resident.images.device == device:
            for part in parts:
                yield self.resident.images[torch.from_numpy(self.resident.places[part]).to(device)]
        elif len(parts) == 1:
            yield self._read(parts[0], device).to(device)
        else:
            with ThreadPoolExecutor(1) as reader:
                coming = [reader.submit(self._read, part, device) for part in parts[:_AHEAD]]
                for following in [*parts[_AHEAD:], *[None] * _AHEAD][: len(parts)]:
                    images = coming.pop(0).result()
                    if following is not None:
                        coming.append(reader.submit(self._read, following, device))
                    yield images.to(device, non_blocking=True)

    def _read(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        images = torch.from_numpy(self.images[rows])
        return images.pin_memory() if device.type == "cuda" else images
