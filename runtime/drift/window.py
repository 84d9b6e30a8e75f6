"""A window: the mean and spread of each figure over some parts and some time."""

from __future__ import annotations

import math
import statistics

import msgspec

from edgetl.runtime.drift.baseline import Baseline, Level
from edgetl.runtime.drift.figures import Row


class Window(msgspec.Struct, frozen=True):
    """`parts` judged pictures: the mean and the standard deviation of each figure."""

    parts: int
    means: dict[str, float]
    stds: dict[str, float]


def window_of(rows: list[Row]) -> Window:
    """The window of at least one row; a figure counts where every row has it."""
    names = set.intersection(*(set(row) for row in rows))
    columns = {name: [row[name] for row in rows] for name in names}
    means = {name: statistics.fmean(values) for name, values in columns.items()}
    stds = {
        name: math.sqrt(sum((v - means[name]) ** 2 for v in values) / max(1, len(values) - 1))
        for name, values in columns.items()
    }
    return Window(len(rows), means, stds)


def baseline_of(windows: list[Window], model: str) -> Baseline:
    """What the first windows of a line say of it."""
    names = set.intersection(*(set(w.means) for w in windows))
    return Baseline(model, len(windows), {name: _level(windows, name) for name in sorted(names)})


def _level(windows: list[Window], name: str) -> Level:
    means = [w.means[name] for w in windows]
    within = math.sqrt(statistics.fmean(w.stds[name] ** 2 for w in windows))
    return Level(statistics.fmean(means), within, statistics.stdev(means))
