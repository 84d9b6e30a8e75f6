"""The spool: takes results from the loop without ever making it wait, and keeps them until every output has them.

The loop appends to memory; a thread of the spool's own commits what is there, all at once, and forgets what every
output has acknowledged. Outputs read what is committed. Only while the disk cannot take results do outputs read them
from memory; what no longer fits there is dropped, good parts first, and a gap says so.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.keeper import Keeper
from edgetl.runtime.spool.rows import Row

_log = logging.getLogger("edgetl.spool")


class Batch(msgspec.Struct, frozen=True):
    """Rows for an output that stands at position `after`; settling all of them takes it to `through`.

    `version` changes whenever there may be more.
    """

    after: int
    rows: list[Row]
    through: int
    version: int


class SpoolHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the spool is. `in_memory`: results not on disk; `dropped`: results lost for good since the start."""

    ok: bool
    detail: str = ""
    in_memory: int = 0
    dropped: int = 0


class Spool:
    """Store and forward for the outputs named. Every method may be called from any thread."""

    def __init__(
        self, config: SpoolConfig, device: str, outputs: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)  # for the thread that stores
        self._ready = threading.Condition(self._lock)  # for the outputs
        self._version = 0
        self._stopping = False
        self._damaged: set[int] = set()
        self._keeper = Keeper(config, device, outputs, self._lock, clock, self._wanted)
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def next_sequence(self) -> int:
        """The next sequence number of this device; never given before."""
        return self._keeper.numbers.give()

    def append(self, sequence: int, kind: str, payload: bytes) -> None:
        """Takes a result (`kind` is its verdict); returns at once, whatever the disk does."""
        with self._lock:
            self._keeper.held.append(sequence, kind, payload)
            self._work.notify_all()
            if self._keeper.trouble is not None:
                self._tell_outputs()

    def batch(self, output: str, limit: int) -> Batch:
        """Up to `limit` rows that an output has not acknowledged, oldest first."""
        with self._lock:
            after, version = self._keeper.held.cursors[output], self._version
            memory = self._keeper.held.in_memory(after, limit) if self._keeper.trouble is not None else []
        try:
            rows, damaged = self._keeper.store.after(after, limit)
        except sqlite3.Error as error:
            rows, damaged = [], []
            with self._lock:
                self._keeper.suspect(error)
                self._work.notify_all()
        known = {row.position for row in rows}
        rows = [*rows, *(row for row in memory if row.position not in known)][:limit]
        sound = [row for row in rows if row.position not in damaged]
        self._note_damaged([row for row in rows if row.position in damaged])
        return Batch(after, sound, rows[-1].position if rows else after, version)

    def _note_damaged(self, rows: list[Row]) -> None:
        with self._lock:
            new = [row for row in rows if row.position not in self._damaged]
            self._damaged.update(row.position for row in new)
            self._keeper.held.note_dropped("damaged on disk", new)
            self._work.notify_all()

    def wait(self, seen: Batch, timeout_s: float) -> None:
        """Waits until there may be more than `seen`, the spool closes, or the time is up."""
        with self._lock:
            self._ready.wait_for(lambda: self._version != seen.version or self._stopping, timeout_s)

    def wake(self) -> None:
        """Ends the waiting of all outputs, which then look again."""
        with self._lock:
            self._tell_outputs()

    def acknowledge(self, output: str, after: int, through: int) -> None:
        """An output, which stood at position `after`, has everything up to `through`."""
        with self._lock:
            if self._keeper.held.acknowledge(output, after, through):
                self._keeper.acknowledged()
                self._work.notify_all()

    def refuse(self, output: str, row: Row, reason: str) -> None:
        """An output will never take this row: a gap will say so. The caller acknowledges it all the same."""
        with self._lock:
            self._keeper.held.note_dropped(reason, [row], (output,))
            self._work.notify_all()

    def waiting(self, output: str) -> int:
        """How many rows an output has not acknowledged. Reads the disk."""
        with self._lock:
            cursor, memory = self._keeper.held.cursors[output], [row.position for row in self._keeper.held.rows()]
        stored, last = self._keeper.store.waiting(cursor)
        return stored + sum(position > max(cursor, last) for position in memory)

    def health(self) -> SpoolHealth:
        """How the spool is; never waits for the disk."""
        with self._lock:
            keeper = self._keeper
            detail = keeper.trouble.reason if keeper.trouble is not None else keeper.unreserved
            return SpoolHealth(ok=not detail, detail=detail, in_memory=len(keeper.held), dropped=keeper.held.dropped)

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything appended so far is on disk; False if it is not by then."""
        with self._lock:
            return self._ready.wait_for(lambda: not self._keeper.held.untold(), timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stores what is held and closes. A disk that takes longer than `timeout_s` is left to itself."""
        with self._lock:
            self._stopping = True
            self._work.notify_all()
            self._ready.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error("the disk did not take the last results within %g s", timeout_s)

    def _wanted(self) -> None:
        with self._lock:
            self._work.notify_all()

    def _tell_outputs(self) -> None:
        self._version += 1
        self._ready.notify_all()

    def _run(self) -> None:
        keeper = self._keeper
        while not self._stopping:
            with self._lock:
                self._work.wait_for(lambda: self._stopping or keeper.due_in() == 0.0, keeper.due_in())
                due = self._stopping or keeper.due_in() == 0.0
            if due:
                keeper.keep()
                with self._lock:
                    self._tell_outputs()
        if keeper.held.untold():
            keeper.keep()
        keeper.finish()
