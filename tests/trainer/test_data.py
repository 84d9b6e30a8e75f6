"""Batches on their way to the device: the same pixels, wherever the pictures lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgetl.trainer.data import CPU, Resident, TrainingData
from edgetl.trainer.network import pixels_of

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8)
ROWS = np.array([7, 2, 9, 0, 10, 4, 5], np.int64)


def data_of(resident: Resident | None = None) -> TrainingData:
    return TrainingData(IMAGES, np.arange(11), np.full(11, "train"), ("a",), resident)


def on_the_device() -> Resident:
    """Those that are asked for, in another order than in the data set."""
    places = np.full(11, -1, np.int64)
    places[np.sort(ROWS)] = np.arange(len(ROWS))
    return Resident(torch.from_numpy(IMAGES[np.sort(ROWS)]), places)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("share", [slice(None), slice(1, None, 2)])
@pytest.mark.parametrize("resident", [False, True])
def test_batches_come_in_order_and_whole(size: int, share: slice, resident: bool) -> None:
    data = data_of(on_the_device() if resident else None)
    found = list(data.batches(ROWS, size, CPU, share))
    assert len(found) == -(-len(ROWS) // size)
    for number, (pixels, targets) in enumerate(found):
        part = ROWS[number * size : (number + 1) * size]
        assert targets.tolist() == part.tolist()
        assert torch.equal(pixels, pixels_of(torch.from_numpy(IMAGES[part[share]])))


def test_epoch_that_is_broken_off_leaves_nothing_running() -> None:
    import threading

    before = threading.active_count()
    batches = data_of().batches(ROWS, 1)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_memory_of_a_cpu_is_not_filled() -> None:
    data = data_of()
    assert not data.stay_on(CPU, ROWS)
    assert data.resident is None


@pytest.mark.parametrize("coloured", [None, 0, 149], ids=["none", "the first", "the last"])
def test_camera_has_no_colours_where_no_picture_of_train_has_one(coloured: int | None) -> None:
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (160, 8, 8, 1), np.uint8), 3, axis=3)
    splits = np.array(["train"] * 150 + ["val"] * 10)
    images[155, 0, 0, 1] ^= 1  # of another split
    if coloured is not None:
        images[coloured, 7, 7, 2] ^= 1
    assert TrainingData(images, np.zeros(160, np.int64), splits, ("a",)).is_grey("train") is (coloured is None)
