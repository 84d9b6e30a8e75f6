"""Losses that no gap has been written for yet."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgetl.runtime.spool.retention import Loss, union
from edgetl.runtime.spool.rows import GAP, Gap, Row


class Losses:
    """Gathers losses by reason and the outputs that miss them, so that one gap speaks for many."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, tuple[str, ...]], Loss] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, reason: str, loss: Loss | None, outputs: tuple[str, ...] = ()) -> None:
        """Notes a loss; None is none."""
        if loss is not None:
            key = (reason, outputs)
            known = self._found.get(key)
            self._found[key] = loss if known is None else union([known, loss]) or loss

    def take(self) -> list[tuple[str, tuple[str, ...], Loss]]:
        """Everything noted, which is then no longer held."""
        taken = [(reason, outputs, loss) for (reason, outputs), loss in self._found.items()]
        self._found.clear()
        return taken


def loss_of_rows(rows: Sequence[Row]) -> Loss | None:
    """The loss that dropping these rows is; a dropped gap hands on what it spoke of."""
    parts = []
    for row in rows:
        if row.kind == GAP:
            gap = msgspec.json.decode(row.payload, type=Gap)
            parts.append(Loss(gap.first, gap.last, gap.lost))
        else:
            parts.append(Loss(row.sequence, row.sequence, 1))
    return union(parts)
