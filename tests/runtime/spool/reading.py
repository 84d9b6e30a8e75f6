"""What a receiver does with a spool: takes everything, drops what it has already, and does the sums."""

from __future__ import annotations

import json
from typing import Any

from edgetl.runtime.spool.spool import Spool


def fill(spool: Spool, count: int, kind: str = "OK", size: int = 40) -> list[int]:
    """Appends results as the loop does; gives their numbers."""
    given = []
    for _ in range(count):
        number = spool.next_sequence()
        spool.append(number, kind, json.dumps({"sequence": number, "pad": "x" * size}).encode())
        given.append(number)
    return given


def drain(spool: Spool, output: str) -> list[dict[str, Any]]:
    """Takes and acknowledges all that waits for an output."""
    got: list[dict[str, Any]] = []
    while True:
        batch = spool.batch(output, 100)
        got += [json.loads(row.payload) for row in batch.rows]
        if batch.through == batch.after:
            return got
        spool.acknowledge(output, batch.after, batch.through)


def numbers(messages: list[dict[str, Any]]) -> list[int]:
    """The numbers of the results among them."""
    return [m["sequence"] for m in messages if "gap" not in m]


def gaps(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The gaps among them."""
    return [m for m in messages if "gap" in m]


def unaccounted(given: list[int], messages: list[dict[str, Any]]) -> set[int]:
    """Numbers that were given and that neither came nor lie in a gap. There must never be one."""
    told = {n for gap in gaps(messages) for n in given if gap["first"] <= n <= gap["last"]}
    return set(given) - set(numbers(messages)) - told - {gap["sequence"] for gap in gaps(messages)}
