"""A batch that does not fit into memory is worked on in parts, and gives the same gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgetl.errors import TrainingError
from edgetl.trainer.accumulation import accumulate


class Device:
    """A model on a device that has room for `room` pictures: a larger part ends as torch ends it there."""

    def __init__(self, room: int) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(5, 3)
        self.pictures, self.targets = torch.randn(12, 5), torch.arange(12) % 3
        self._room = room
        self.sizes: list[int] = []

    def gradient(self, part: slice) -> tuple[float, int]:
        pictures, targets = self.pictures[part], self.targets[part]
        self.sizes.append(len(pictures))
        logits = self.model(pictures)
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum") / len(self.pictures)
        loss.backward()
        if len(pictures) > self._room:  # after some of the gradient is there already
            raise torch.OutOfMemoryError("CUDA out of memory")
        return float(loss.detach()), int((logits.argmax(dim=1) == targets).sum())

    def work(self, micro_batch: int = 12) -> tuple[float, int, int]:
        return accumulate(self.gradient, 12, micro_batch, self.model.zero_grad)


@pytest.mark.parametrize("room", [1, 2, 5, 11])
def test_parts_add_up_to_the_whole_batch(room: int) -> None:
    large, small = Device(12), Device(room)
    whole, parts = large.work(), small.work()
    assert whole[2] == 12 and parts[2] <= room
    assert parts[0] == pytest.approx(whole[0]) and parts[1] == whole[1]
    torch.testing.assert_close(small.model.weight.grad, large.model.weight.grad)


def test_size_that_fits_is_kept_for_the_next_batch() -> None:
    device = Device(3)
    _, _, fits = device.work()
    device.sizes.clear()
    device.work(fits)
    assert device.sizes == [3, 3, 3, 3]


def test_not_even_one_picture_ends_in_one_line() -> None:
    with pytest.raises(TrainingError, match="smaller --imgsz"):
        Device(0).work()
