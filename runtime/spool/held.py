"""What the spool holds in memory: rows not on disk yet, losses not told yet, and how far each output has got.

Pure: no thread, no disk, no clock. The spool guards it with its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from edgetl.runtime.spool.losses import Losses, loss_of_rows
from edgetl.runtime.spool.memory import Memory
from edgetl.runtime.spool.retention import Loss, lagging, settled
from edgetl.runtime.spool.rows import GAP, Gap, Row, gap_row

UNATTACHED = 1 << 40  # positions of rows whose database is not open yet; no database counts that far


class Snapshot(msgspec.Struct, frozen=True):
    """What a commit should make durable. `spare` is a position after all rows, and before all that come later."""

    rows: list[Row]
    cursors: dict[str, int]
    spare: int


class Held:
    """The memory side of a spool for the outputs named."""

    def __init__(self, device: str, outputs: Sequence[str], memory_bytes: int, give: Callable[[], int]) -> None:
        self._device = device
        self._give = give
        self._memory = Memory(memory_bytes)
        self._next_position = UNATTACHED
        self._storing = -1  # position up to which rows are in a commit that has not ended
        self._on_disk = -1  # position of the last row that was committed, or found in the file
        self.losses = Losses()
        self.cursors = dict.fromkeys(outputs, 0)
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._memory)

    def append(self, sequence: int, kind: str, payload: bytes) -> None:
        """Takes a result; what has to go for it becomes a loss."""
        self._add(Row(self._position(), sequence, kind, payload))

    def _position(self) -> int:
        self._next_position += 1
        return self._next_position - 1

    def _add(self, row: Row) -> None:
        dropped = self._memory.add(row, self._storing)
        if dropped:
            behind = lagging(self.cursors, max(gone.position for gone in dropped))
            self.note_dropped("the disk could not keep up or take them", dropped, behind)

    def note_dropped(self, reason: str, rows: Sequence[Row], outputs: tuple[str, ...] = ()) -> None:
        """Counts rows that are gone."""
        self.losses.add(reason, loss_of_rows(rows), outputs)
        self.dropped += sum(row.kind != GAP for row in rows)

    def acknowledge(self, output: str, after: int, through: int) -> bool:
        """Settles the rows after `after` up to `through` for an output.

        Ignored when the output does not stand at `after`: then the positions are from before the database was
        replaced, and the rows will be sent again.
        """
        if self.cursors.get(output) != after or through <= after:
            return False
        self.cursors[output] = through
        self._memory.remove_through(settled(self.cursors))  # what all have must not be dropped later and called lost
        return True

    def gap(self, position: int, sequence: int, reason: str, outputs: tuple[str, ...], loss: Loss) -> Row:
        """A row that tells of a loss."""
        gap = Gap(device=self._device, sequence=sequence, gap=reason, first=loss.first, last=loss.last, lost=loss.lost, outputs=outputs)  # fmt: skip
        return gap_row(position, gap)

    def snapshot(self) -> Snapshot:
        """The rows to store now. Losses become gaps, but only one lot at a time while the disk takes nothing."""
        if not any(row.kind == GAP for row in self._memory.rows()):
            for reason, outputs, loss in self.losses.take():
                self._add(self.gap(self._position(), self._give(), reason, outputs, loss))
        self._storing = self._position()
        return Snapshot(self._memory.rows(), dict(self.cursors), self._storing)

    def stored(self, snapshot: Snapshot, last_position: int) -> None:
        """A snapshot is on disk, where the last row has that position."""
        self._memory.remove_through(snapshot.spare)
        self._on_disk, self._storing = last_position, -1

    def not_stored(self) -> None:
        """The commit of the last snapshot failed."""
        self._storing = -1

    def attach(self, cursors: Mapping[str, int], last_position: int) -> None:
        """A database was opened. Unless it is the one that was open before, its positions and cursors rule."""
        if last_position == self._on_disk:
            return
        self.cursors = {name: cursors.get(name, 0) for name in self.cursors}
        self._next_position = self._memory.renumber(last_position + 1)
        self._on_disk = last_position

    def rows(self) -> list[Row]:
        """The rows that are not on disk."""
        return self._memory.rows()

    def in_memory(self, after: int, limit: int) -> list[Row]:
        """Rows not on disk after a position."""
        return self._memory.after(after, limit)

    def untold(self) -> bool:
        """Whether there is something that no commit has made durable."""
        return len(self._memory) > 0 or bool(self.losses)
