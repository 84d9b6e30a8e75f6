"""Overfitting is noticed when it lasts, and nothing else is taken for it."""

from __future__ import annotations

import math
from itertools import permutations

import msgspec
import pytest

from edgetl.trainer.overfitting import FEWEST, MOST, _rises, overfitting


class Row(msgspec.Struct, frozen=True):
    train_loss: float
    val_loss: float


def rows(train: list[float], val: list[float]) -> list[Row]:
    return [Row(t, v) for t, v in zip(train, val, strict=True)]


@pytest.mark.parametrize(
    ("train", "val", "epochs"),
    [
        ([0.9, 0.7, 0.5, 0.3], [0.5, 0.6, 0.7, 0.8], 3),
        ([math.nan, 0.7, 0.5, 0.3], [0.5, 0.6, 0.7, 0.8], 0),
        ([math.nan, 0.9, 0.7, 0.5, 0.3], [0.4, 0.5, 0.6, 0.7, 0.8], 3),
        ([0.9, 0.8, 0.7, 0.5, 0.3], [0.9, 0.5, 0.6, 0.7, 0.8], 3),
        ([0.9, 0.7, 0.5], [0.5, 0.6, 0.7], 0),
        ([0.9, 0.7, 0.5, 0.3], [0.5, 0.6, 0.55, 0.8], 0),
        ([0.9, 0.8, 0.7, 0.5, 0.3], [0.5, 0.6, 0.55, 0.8, 0.9], 4),
        ([0.9, 0.7, 0.8, 0.5, 0.3], [0.5, 0.6, 0.55, 0.8, 0.9], 4),
        ([0.9, 0.8, 0.7, 0.5, 0.3], [0.55, 0.6, 0.5, 0.8, 0.7], 0),
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.3], [0.5, 0.6, 0.55, 0.8, 0.7, 0.9], 5),
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.3], [0.6, 0.5, 0.8, 0.55, 0.7, 0.9], 0),
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], [0.5, 0.6, 0.7, 0.6, 0.9, 0.8, 0.7], 0),
        ([0.3, 0.5, 0.7, 0.9], [0.5, 0.6, 0.7, 0.8], 0),
        ([0.9, 0.7, 0.5, 0.3], [0.5, 0.5001, 0.5002, 0.5003], 0),
        ([0.9, 0.7, 0.5, 0.3], [0.8, 0.7, 0.6, 0.5], 0),
    ],
)
def test_val_must_rise_while_training_falls_but_for_few_exceptions(
    train: list[float], val: list[float], epochs: int
) -> None:
    assert overfitting(rows(train, val)) == epochs


def test_chance_takes_unrelated_losses_for_it_in_few_of_all_orders() -> None:
    """Of all orders of so many losses on val, training falling evenly: one in twenty at most for each count of them."""
    for count in range(FEWEST, MOST + 1):
        orders = list(permutations(range(count)))
        assert sum(_rises(order, count - FEWEST) for order in orders) <= len(orders) / 20
