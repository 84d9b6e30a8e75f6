"""What a net gives does not depend on how many pictures fit into memory at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgetl.errors import TrainingError
from edgetl.trainer.data import TrainingData
from edgetl.trainer.inference import outputs_of

CPU = torch.device("cpu")


def data(count: int = 21) -> TrainingData:
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return TrainingData(images, np.zeros(count, np.int64), np.full(count, "val"), ("a", "b"))


class Net:
    """Means of the channels, on a device with room for so many pictures."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, pixels: Tensor) -> Tensor:
        self.sizes.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pixels.mean(dim=(2, 3))


@pytest.mark.parametrize("room", [1, 3, 20, 100])
def test_every_picture_in_order_whatever_fits(room: int) -> None:
    own, net = data(), Net(room)
    told: list[int] = []
    rows = np.array([5, 3, 20, *range(10)], np.int64)
    found = outputs_of(net, own, rows, CPU, 8, lambda values: told.append(len(values)))
    expected = own.images[rows].astype(np.float32).mean(axis=(1, 2))
    assert np.allclose(found.numpy(), expected, atol=1e-3)
    assert sum(told) == len(rows) and max(told) <= min(room, 8)


def test_size_that_fits_is_kept() -> None:
    net = Net(3)
    outputs_of(net, data(), np.arange(10), CPU, 8)
    assert net.sizes == [8, 4, 2, 2, 2, 2, 2]


def test_no_room_for_one_is_one_line() -> None:
    with pytest.raises(TrainingError, match="smaller --imgsz"):
        outputs_of(Net(0), data(), np.arange(4), CPU)
