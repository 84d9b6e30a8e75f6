"""Rounds in which every program has its turn, and what they come to."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from typing import Any

from edgetl.errors import EdgetlError, MissingPartError

Figures = dict[str, Any]
Turn = Callable[[int], Figures]  # takes the number of the round, from 0


def in_rounds(rounds: int, turns: Mapping[str, Turn]) -> dict[str, Figures]:
    """What each program came to: the `median` of every figure over the rounds, and the `rounds`; or why it is `absent`, where
    it is not installed, or how it `failed`, after which it is not asked again."""
    found: dict[str, list[Figures]] = {name: [] for name in turns}
    without: dict[str, Figures] = {}
    for number in range(rounds):
        for name, turn in turns.items():
            if name in without:
                continue
            try:
                found[name].append(turn(number))
            except MissingPartError as error:
                without[name] = {"absent": str(error)}
            except EdgetlError as error:
                without[name] = {"failed": str(error)}
            print(f"round {number + 1}, {name}: {without.get(name) or found[name][-1]}", file=sys.stderr, flush=True)
    return {name: without.get(name) or {"median": medians(rows), "rounds": rows} for name, rows in found.items()}


def medians(rows: list[Figures]) -> Figures:
    """The median of each figure; what is no number is the first row's."""
    return {
        name: round(statistics.median(row[name] for row in rows), 4) if isinstance(value, int | float) else value
        for name, value in rows[0].items()
    }
