"""What an order says of stored values, held against numpy, which moves them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgetl.exporter.lowering.axes import CHANNELS_LAST, is_moved, plain, reshaped, stored, transposed


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
@pytest.mark.parametrize("turn", [(0, 2, 3, 1), (3, 1, 0, 2)], ids=str)
def test_transposing_moves_nothing(order: tuple[int, ...], turn: tuple[int, ...]) -> None:
    values = np.arange(120).reshape(2, 3, 4, 5)
    turned, after = values.transpose(turn), transposed(order, turn)
    np.testing.assert_array_equal(values.transpose(order), turned.transpose(after))


SHAPES = [(1, 6, 1, 1), (1, 6), (6,), (1, 2, 3), (2, 3, 4), (6, 4), (24,), (1, 24), (1, 4, 2, 3), (1, 4, 6), (4, 1, 6), (2, 12), (1, 2, 12, 1),
          (1, 2, 2, 2, 3)]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [(a, b) for a in SHAPES for b in SHAPES if np.prod(a) == np.prod(b)])
def test_reshaping_without_moving_gives_what_numpy_gives(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    values = np.arange(np.prod(before)).reshape(before)
    known = 0
    for order in itertools.permutations(range(len(before))):
        found = reshaped(before, after, order)
        if found is not None:
            known += 1
            assert sorted(found) == list(range(len(after)))
            wanted = values.reshape(after)
            kept = values.transpose(order).reshape(stored(wanted.shape, found))
            np.testing.assert_array_equal(kept, wanted.transpose(found))
    assert known >= 1 and reshaped(before, after, plain(len(before))) is not None


def test_what_nets_do_moves_nothing() -> None:
    """A map of one place is flattened, patches become tokens, tokens become maps; more places are flattened by moving them."""
    assert reshaped((1, 8, 1, 1), (1, 8), CHANNELS_LAST) == (0, 1)
    assert reshaped((1, 8, 4, 5), (1, 8, 20), CHANNELS_LAST) == (0, 2, 1)
    assert transposed((0, 2, 1), (0, 2, 1)) == (0, 1, 2)
    assert reshaped((1, 8, 20), (1, 8, 4, 5), (0, 2, 1)) == CHANNELS_LAST
    assert reshaped((1, 8, 4, 5), (1, 160), CHANNELS_LAST) is None


def test_axes_of_one_may_stand_anywhere() -> None:
    assert not is_moved((1, 8, 1, 1), CHANNELS_LAST, (0, 1, 2, 3))
    assert is_moved((1, 8, 1, 2), CHANNELS_LAST, (0, 1, 2, 3))
