"""Results in a SQLite file, for queries on the device: one row each, never two for the same (device, sequence)."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgetl.errors import OutputError, storage
from edgetl.runtime.outputs.config import Sqlite
from edgetl.runtime.outputs.delivery import Delivered
from edgetl.runtime.spool.rows import GAP, Row

_log = logging.getLogger("edgetl.outputs")
_COLUMNS = ("device", "sequence", "time", "verdict", "label", "score", "reason", "part", "source", "latency_ms")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS result (
    device TEXT NOT NULL, sequence INTEGER NOT NULL, time TEXT, verdict TEXT NOT NULL, label TEXT, score REAL, reason TEXT,
    part INTEGER, source TEXT, latency_ms REAL, json TEXT NOT NULL, PRIMARY KEY (device, sequence)
);
CREATE INDEX IF NOT EXISTS result_by_time ON result (time);
CREATE TABLE IF NOT EXISTS gap (
    device TEXT NOT NULL, sequence INTEGER NOT NULL, reason TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    lost INTEGER, PRIMARY KEY (device, sequence)
);
"""


class SqliteDelivery:
    """Inserts rows; a row counts as delivered when its commit is on the disk."""

    batch = 500

    def __init__(self, config: Sqlite) -> None:
        self._config = config
        self._path = Path(config.file)
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Opens or makes the file."""
        with storage(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: {error}") from error

    def deliver(self, rows: Sequence[Row]) -> Delivered:
        """Inserts what is not there yet, all or nothing."""
        connection = self._connection
        if connection is None:
            raise OutputError(f"{self._path}: not open")
        try:
            connection.execute("BEGIN IMMEDIATE")
            clashes = [row.sequence for row in rows if not self._insert(connection, row)]
            self._forget(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise OutputError(f"{self._path}: {error}") from error
        if clashes:
            _log.error("%s: other results have the numbers %s… already: was this device set up anew under its old "
                       "name? Give it another", self._path, clashes[0])  # fmt: skip
        return Delivered(len(rows))

    def _insert(self, connection: sqlite3.Connection, row: Row) -> bool:
        """False if something else has the row's number."""
        record: dict[str, Any] = msgspec.json.decode(row.payload)
        text = row.payload.decode()
        if row.kind == GAP:
            values = [record.get(key) for key in ("device", "sequence", "gap", "first", "last", "lost")]
            connection.execute("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, ?, ?)", values)
            return True
        values = [record.get(column) for column in _COLUMNS]
        values[0] = values[0] or ""
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        done = connection.execute(f"INSERT OR IGNORE INTO result VALUES ({marks})", [*values, text])
        if done.rowcount == 1:
            return True
        found = connection.execute("SELECT json FROM result WHERE device = ? AND sequence = ?", values[:2]).fetchone()
        return bool(found and found[0] == text)

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Keeps the newest rows by the order in which they came."""
        query = "DELETE FROM result WHERE rowid <= (SELECT MAX(rowid) FROM result) - ?"
        connection.execute(query, (self._config.max_rows,))

    def close(self) -> None:
        """Closes the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    leave = close
