"""The simulated camera's outages: as often as asked, the same for the same seed."""

from __future__ import annotations

import pytest

from edgetl.runtime.sim import Outages
from edgetl.runtime.sim.outages import LONGEST_S, SHORTEST_S


def spells(seed: int, per_minute: float, minutes: float = 120.0) -> list[float]:
    """The lengths of the outages, seen at a hundred frames a second."""
    outages, lengths, since = Outages(seed, per_minute), [], None
    for frame in range(int(minutes * 6000)):
        away = outages.away(frame / 100)
        if away and since is None:
            since = frame
        elif not away and since is not None:
            lengths.append((frame - since) / 100)
            since = None
    return lengths


def test_as_often_and_as_long_as_said() -> None:
    lengths = spells(1, 4.0)
    assert 0.8 * 4 * 120 < len(lengths) < 4 * 120
    assert min(lengths) >= SHORTEST_S - 0.02 and max(lengths) <= LONGEST_S + 0.02


def test_same_seed_same_outages() -> None:
    assert spells(5, 3.0, 20) == spells(5, 3.0, 20) != spells(6, 3.0, 20)


def test_none_where_none_are_asked_for() -> None:
    assert spells(1, 0.0, 5) == []


def test_impossible_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="outages_per_minute"):
        Outages(1, -1.0)
