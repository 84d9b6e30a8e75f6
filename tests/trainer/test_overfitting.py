"""Overfitting is noticed when it lasts, and nothing else is taken for it."""

from __future__ import annotations

import math

import msgspec
import pytest

from edgetl.trainer.overfitting import overfits


class Row(msgspec.Struct, frozen=True):
    train_loss: float
    val_loss: float


def rows(train: list[float], val: list[float]) -> list[Row]:
    return [Row(t, v) for t, v in zip(train, val, strict=True)]


@pytest.mark.parametrize(
    ("train", "val", "found"),
    [
        ([0.9, 0.7, 0.5, 0.3], [0.5, 0.6, 0.7, 0.8], True),
        ([math.nan, 0.7, 0.5, 0.3], [0.5, 0.6, 0.7, 0.8], False),
        ([math.nan, 0.9, 0.7, 0.5, 0.3], [0.4, 0.5, 0.6, 0.7, 0.8], True),
        ([0.9, 0.8, 0.7, 0.5, 0.3], [0.9, 0.5, 0.6, 0.7, 0.8], True),
        ([0.9, 0.7, 0.5], [0.5, 0.6, 0.7], False),
        ([0.9, 0.7, 0.5, 0.3], [0.5, 0.6, 0.55, 0.8], False),
        ([0.3, 0.5, 0.7, 0.9], [0.5, 0.6, 0.7, 0.8], False),
        ([0.9, 0.7, 0.5, 0.3], [0.5, 0.5001, 0.5002, 0.5003], False),
        ([0.9, 0.7, 0.5, 0.3], [0.8, 0.7, 0.6, 0.5], False),
    ],
)
def test_val_must_rise_while_training_falls_for_three_epochs(train: list[float], val: list[float], found: bool) -> None:
    assert overfits(rows(train, val)) is found
