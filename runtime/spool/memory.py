"""Rows that are not on disk yet: a bounded list in memory, without a lock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from edgetl.runtime.spool.retention import Candidate, choose, excess, in_order
from edgetl.runtime.spool.rows import Row


def candidate(row: Row) -> Candidate:
    """A row as something that could be dropped."""
    return Candidate(row.position, row.sequence, row.kind, row.size)


class Memory:
    """Keeps rows by age, up to `bound` bytes."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._rows: deque[Row] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[Row]:
        """All rows, oldest first."""
        return list(self._rows)

    def after(self, position: int, limit: int) -> list[Row]:
        """Up to `limit` rows after a position."""
        found: list[Row] = []
        for row in self._rows:
            if row.position > position:
                found.append(row)
                if len(found) == limit:
                    break
        return found

    def add(self, row: Row, storing_through: int = -1) -> list[Row]:
        """Takes a row; gives back those that had to go for it, none of them up to the position that is being stored."""
        over = excess(self._bytes, row.size, self._bound)
        dropped = self._drop(over, storing_through) if over else []
        self._rows.append(row)
        self._bytes += row.size
        return dropped

    def _drop(self, excess_bytes: int, storing_through: int) -> list[Row]:
        free = [candidate(r) for r in self._rows if r.position > storing_through]
        going = {c.position for c in choose(in_order(free), excess_bytes)}
        dropped = [r for r in self._rows if r.position in going]
        self._keep([r for r in self._rows if r.position not in going])
        return dropped

    def remove_through(self, position: int) -> None:
        """Forgets the rows up to a position."""
        while self._rows and self._rows[0].position <= position:
            self._bytes -= self._rows.popleft().size

    def renumber(self, first: int) -> int:
        """Gives the rows positions from `first` on; returns the position after the last."""
        self._keep([msgspec.structs.replace(row, position=first + n) for n, row in enumerate(self._rows)])
        return first + len(self._rows)

    def _keep(self, rows: Sequence[Row]) -> None:
        self._rows = deque(rows)
        self._bytes = sum(row.size for row in rows)
