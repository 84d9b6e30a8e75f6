"""The disk side of the spool: commits what is held, mends what breaks, and knows what is the matter.

One thread at a time calls `keep`; everything shared is behind the lock of the spool.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from collections.abc import Callable, Sequence

import msgspec

from edgetl.errors import EdgetlError, StorageError
from edgetl.runtime.spool.config import SpoolConfig, spool_folder
from edgetl.runtime.spool.database import Change, Database
from edgetl.runtime.spool.held import Held, Snapshot
from edgetl.runtime.spool.retention import Candidate, Loss, lagging, loss_of, settled
from edgetl.runtime.spool.rows import GAP, Gap, Row
from edgetl.runtime.spool.salvage import Salvage
from edgetl.runtime.spool.sequence import BLOCK, Numbers, SequenceFile
from edgetl.runtime.spool.store import Store
from edgetl.runtime.spool.trouble import Remedy, Trouble, diagnose, pause_s

_log = logging.getLogger("edgetl.spool")
_SETTLE_S = 1.0  # acknowledgements wait that long for a result to share a commit with: fewer writes to the card
_DISK_ERRORS = (sqlite3.Error, OSError, EdgetlError)


class Keeper:
    """Keeps what `held` holds."""

    def __init__(
        self,
        config: SpoolConfig,
        device: str,
        outputs: Sequence[str],
        lock: threading.RLock,
        clock: Callable[[], float],
        wanted: Callable[[], None],
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._outputs = outputs
        self.trouble: Trouble | None = None
        self.unreserved = ""  # why no numbers could be reserved
        self._failures = 0
        self._retry_at = self._reserve_at = 0.0
        self._settle_at: float | None = None
        self._kept: dict[str, int] = {}
        self._spare_number: int | None = None
        self._suspected: Exception | None = None
        folder = spool_folder(config)
        self.store = Store(folder, config.own_mount, config.max_bytes)
        self._file = SequenceFile(folder / "sequence")
        self._first_number: int | None = None  # of this process, until a database was opened that ends before it
        self.held = Held(device, outputs, config.memory_bytes, lambda: self.numbers.give())
        opened = self._opened()
        self.numbers = self._numbers(opened[0].last_sequence if opened else 0, wanted)
        if opened is not None:
            self._adopt(*opened)

    # Opening.

    def _open(self) -> tuple[Database, Salvage | None]:
        mend = self.trouble is not None and self.trouble.remedy is Remedy.REBUILD
        return self.store.open(self._outputs, mend=mend)

    def _opened(self) -> tuple[Database, Salvage | None] | None:
        """At the start a disk that is away is no reason not to run; it is tried again."""
        try:
            return self._open()
        except _DISK_ERRORS as error:
            self._failed(error)
            return None

    def _numbers(self, last_known: int, wanted: Callable[[], None]) -> Numbers:
        """Starts after every number that may have been given.

        Where nothing can be reserved nobody knows which were given, or will know of the ones given now; a random
        start beyond all ordinary ones (at one million results a day, 2^40 are reached in 3,000 years) keeps them apart.
        """
        start = max(self._file.read(), last_known) + 1
        reserved = start - 1 + BLOCK
        if not self._reserved(reserved):
            start = random.SystemRandom().randrange(1 << 40, 1 << 52)
            reserved = start - 1
        self._first_number = start
        return Numbers(start, reserved, wanted)

    def _adopt(self, database: Database, salvage: Salvage | None) -> None:
        """Goes on with the file that was opened, and notes what is missing in it."""
        with self._lock:
            last = database.last_sequence
            if self._first_number is not None and last < self._first_number - 1:
                why = "the database was lost" if last == 0 else "stopped without warning"
                unknown = Loss(last + 1, self._first_number - 1, None)
                self.held.losses.add(why, unknown)
            if salvage is not None:
                why = self.trouble.reason if self.trouble is not None else "the database was damaged"
                at_stake = [row.sequence for row in self.held.rows()]
                self.held.losses.add(f"{why}; stored anew", salvage.loss(at_stake, last))
            self._first_number = None
            self.held.attach(database.cursors(), database.last_position)
            self._kept = dict(self.held.cursors)

    # When to act.

    def acknowledged(self) -> None:
        """An output got further; that is to be on disk soon."""
        if self._settle_at is None:
            self._settle_at = self._clock() + _SETTLE_S

    def suspect(self, error: Exception) -> None:
        """Somebody could not read the file: it is to be looked after at once."""
        if self.trouble is None:
            self._suspected = error

    def due_in(self) -> float | None:
        """Seconds until `keep` has something to do; None when nothing is known to be."""
        now, times = self._clock(), []
        if self._suspected is not None:
            return 0.0
        if self.numbers.shortage() is not None:
            times.append(self._reserve_at)
        if self.held.untold() or self.trouble is not None:
            times.append(max(now, self._retry_at))
        if self._settle_at is not None:
            times.append(max(self._settle_at, self._retry_at))
        return max(0.0, min(times) - now) if times else None

    # Acting.

    def keep(self) -> bool:
        """Makes everything held durable; False if the disk did not let it."""
        if (wanted := self.numbers.shortage()) is not None and self._reserved(wanted):
            self.numbers.reserved(wanted)
        try:
            if self._suspected is not None:
                error, self._suspected = self._suspected, None
                raise error
            self._commit(self.store.database or self._reopened())
        except _DISK_ERRORS as error:
            self._failed(error)
            return False
        self._succeeded()
        return True

    def _reopened(self) -> Database:
        database, salvage = self._open()
        self._adopt(database, salvage)
        return database

    def _commit(self, database: Database) -> None:
        with self._lock:
            held = self.held.snapshot()
            self._settle_at = None
        if not held.rows and held.cursors == self._kept:
            self.held.not_stored()
            return
        going = self.store.make_room(held.rows, held.cursors)
        gone = {candidate.position for candidate in going}
        rows = [row for row in held.rows if row.position not in gone]
        if going:
            rows.append(self._gap_for(going, held, database))
        through = settled(held.cursors)
        database.commit(Change(rows=rows, cursors=held.cursors, forget_through=through, drop=sorted(gone)))
        with self._lock:
            self.held.stored(held, database.last_position)
            self.held.dropped += sum(candidate.kind != GAP for candidate in going)
        self._kept, self._spare_number = held.cursors, None

    def _gap_for(self, going: Sequence[Candidate], held: Snapshot, database: Database) -> Row:
        """The gap that replaces rows which have to go; its number is used again if the commit fails."""
        positions = [candidate.position for candidate in going if candidate.kind == GAP]
        texts = [*database.payloads(positions), *(r.payload for r in held.rows if r.position in positions)]
        gaps = [msgspec.json.decode(text, type=Gap) for text in texts]
        loss = loss_of(going, [Loss(gap.first, gap.last, gap.lost) for gap in gaps])
        assert loss is not None
        behind = lagging(held.cursors, max(candidate.position for candidate in going))
        with self._lock:
            if self._spare_number is None:
                self._spare_number = self.numbers.give()
            return self.held.gap(held.spare, self._spare_number, "more waited than the spool may hold", behind, loss)

    def _reserved(self, number: int) -> bool:
        try:
            self.store.prepare()
            self._file.write(number)
        except StorageError as error:
            self.unreserved, self._reserve_at = str(error), self._clock() + pause_s(9)
            return False
        self.unreserved = ""
        return True

    def _failed(self, error: Exception) -> None:
        trouble = diagnose(error)
        self._failures += 1
        self._retry_at = self._clock() + pause_s(self._failures)
        if trouble != self.trouble:
            _log.error("results are kept in memory: %s", trouble.reason)
        with self._lock:
            self.trouble = trouble
            self.held.not_stored()
        if trouble.remedy is not Remedy.WAIT:
            self.store.close()

    def _succeeded(self) -> None:
        if self.trouble is not None:
            _log.warning("results are kept on disk again")
        with self._lock:
            self.trouble, self._failures, self._retry_at = None, 0, 0.0

    def finish(self) -> None:
        """Closes; after an orderly end the next start goes on with the next number."""
        if self.store.database is not None and not self.held.untold():
            self._reserved(self.numbers.last)
        self.store.close()
