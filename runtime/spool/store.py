"""The spool's place on the disk: opens it, mends it, and says what was lost on the way."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgetl.runtime.spool.database import Change, Database, Reader
from edgetl.runtime.spool.memory import candidate
from edgetl.runtime.spool.place import prepare
from edgetl.runtime.spool.retention import RANKS, Candidate, choose, excess, rank, settled
from edgetl.runtime.spool.rows import Row
from edgetl.runtime.spool.salvage import Salvage, finish_rebuild, rebuild
from edgetl.runtime.spool.trouble import Remedy, diagnose

NAME = "spool.db"


class Store:
    """At most one open database. Raises sqlite3.Error, OSError or StorageError; `close` before the next try."""

    def __init__(self, folder: Path, own_mount: bool, max_bytes: int) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._own_mount = own_mount
        self._max_bytes = max_bytes
        self._reading = threading.Lock()
        self._reader: Reader | None = None
        self.database: Database | None = None

    def prepare(self) -> None:
        """Makes the folder. Raises StorageError where nothing may or can be written."""
        prepare(self.folder, self._own_mount)

    def open(self, outputs: Sequence[str], *, mend: bool) -> tuple[Database, Salvage | None]:
        """Opens the file; with `mend`, or when it turns out damaged, rebuilds it first and says what that gave."""
        self.prepare()
        finish_rebuild(self.path)
        check = self.path.with_name(self.path.name + "-wal").exists()  # the last stop was not orderly
        salvage = rebuild(self.path) if mend and self.path.exists() else None
        try:
            database = Database(self.path, check=check)
        except sqlite3.DatabaseError as error:
            if diagnose(error).remedy is not Remedy.REBUILD:
                raise
            salvage = rebuild(self.path)
            database = Database(self.path)
        try:
            database.keep_cursors(outputs)
            with self._reading:
                self._reader = Reader(self.path)
        except BaseException:
            database.close()
            raise
        self.database = database
        return database, salvage

    def close(self) -> None:
        """Closes the file, if it is open; what the disk has to say about it no longer matters."""
        with self._reading, contextlib.suppress(sqlite3.Error):
            if self._reader is not None:
                self._reader.close()
            self._reader = None
        if self.database is not None:
            with contextlib.suppress(sqlite3.Error):
                self.database.close()
        self.database = None

    def make_room(self, rows: Sequence[Row], cursors: Mapping[str, int]) -> list[Candidate]:
        """What must be dropped, on disk or of `rows`, so that the bound holds when `rows` are stored."""
        assert self.database is not None
        arriving = sum(row.size for row in rows)
        if not excess(self.database.bytes, arriving, self._max_bytes):
            return []
        self.database.commit(Change(cursors=cursors, forget_through=settled(cursors)))
        over = excess(self.database.bytes, arriving, self._max_bytes)
        return choose(self._droppable(rows), over)

    def _droppable(self, rows: Sequence[Row]) -> Iterator[Candidate]:
        assert self.database is not None
        for level in RANKS:
            yield from self.database.candidates(level)
            yield from (candidate(row) for row in rows if rank(row.kind) == level)

    def after(self, position: int, limit: int) -> tuple[list[Row], list[int]]:
        """Rows on disk after a position, and which of them are damaged; nothing while the file is not open."""
        with self._reading:
            return self._reader.after(position, limit) if self._reader is not None else ([], [])

    def waiting(self, position: int) -> tuple[int, int]:
        """How many rows on disk come after a position, and the position of the last row there."""
        with self._reading, contextlib.suppress(sqlite3.Error):
            return self._reader.waiting(position) if self._reader is not None else (0, 0)
        return 0, 0
