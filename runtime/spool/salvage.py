"""Sets a file that cannot be trusted aside, and carries over what can still be read in it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from edgetl.runtime.files import sync
from edgetl.runtime.spool.database import Change, Database, connect
from edgetl.runtime.spool.retention import Loss
from edgetl.runtime.spool.rows import Row, checksum

KEPT = 3  # files set aside; more would fill the disk that is failing already
_PARTS = ("", "-wal", "-shm")
_CHUNK = 500


class Salvage(msgspec.Struct, frozen=True):
    """What was carried over: how many rows, and the sequence numbers next to the hole, if there is one."""

    rows: int
    whole: bool
    before_hole: int = 0
    after_hole: int | None = None

    def loss(self, at_stake: Sequence[int], last_sequence: int) -> Loss | None:
        """What is missing. `at_stake` are the numbers that were being stored: written anew, so that none is lost."""
        if self.whole:
            return Loss(at_stake[0], at_stake[-1], 0) if at_stake else None
        last = last_sequence if self.after_hole is None else self.after_hole - 1
        return Loss(min(self.before_hole + 1, last), last, None) if last > 0 else None


def rebuild(path: Path) -> Salvage:
    """Puts a new file with all readable rows in place of `path`; the old one stays beside it as `.corrupt-<time>`.

    Everything is written anew, so that what is durable afterwards really is. Raises sqlite3.Error or OSError.
    """
    new = path.with_name(path.name + ".new")
    _remove(new)
    salvage = _copied(path, new)
    set_aside(path)
    new.rename(path)
    sync(path.parent)
    return salvage


def finish_rebuild(path: Path) -> None:
    """After a stop in the middle of `rebuild`: a copy counts once the old file has left its place."""
    new = path.with_name(path.name + ".new")
    if not path.exists() and new.exists():
        _remove(path)  # an old log beside the new file would be played into it
        new.rename(path)
    else:
        _remove(new)


def set_aside(path: Path) -> None:
    """Renames a database with its log to `.corrupt-<UTC time>`, and keeps the newest few of such files."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        aside, number = path.with_name(f"{path.name}.corrupt-{stamp}-{number}"), number + 1
    for part in _PARTS:  # the database first: without it, `finish_rebuild` takes the copy and leaves the old log alone
        source = path.with_name(path.name + part)
        if source.exists():
            source.rename(aside.with_name(aside.name + part))
    sync(path.parent)
    old = [p for p in path.parent.glob(f"{path.name}.corrupt-*") if not p.name.endswith(_PARTS[1:])]
    for extra in sorted(old, key=lambda p: p.stat().st_ctime)[:-KEPT]:
        _remove(extra)


def _remove(path: Path) -> None:
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)


def _copied(path: Path, new: Path) -> Salvage:
    target = Database(new)
    try:
        if not path.exists() or path.stat().st_size == 0:
            return Salvage(0, False)
        source = connect(path)
        try:
            return _copy_rows(source, target)
        finally:
            source.close()
    finally:
        target.close()
        sync(new)


def _copy_rows(source: sqlite3.Connection, target: Database) -> Salvage:
    with contextlib.suppress(sqlite3.Error):
        state = dict(source.execute("SELECT key, value FROM state"))
        cursors = dict(source.execute("SELECT output, position FROM cursor"))
        target.adopt(cursors, state.get("last_position", 0), state.get("last_sequence", 0))
    count, top, before = 0, 0, 0
    reading = _Reading(source, "ASC")
    for chunk in reading.chunks():
        target.commit(Change(rows=chunk))
        count, top, before = count + len(chunk), chunk[-1].position, chunk[-1].sequence
    if reading.whole:
        return Salvage(count, not reading.damaged, before)
    tail = _Reading(source, "DESC")
    rows = sorted((r for chunk in tail.chunks() for r in chunk if r.position > top), key=lambda r: r.position)
    if rows:
        target.commit(Change(rows=rows))
    return Salvage(count + len(rows), False, before, rows[0].sequence if rows else None)


class _Reading:
    """Sound rows from one end of a damaged table, up to where SQLite refuses to go on."""

    def __init__(self, connection: sqlite3.Connection, order: str) -> None:
        self._query = f"SELECT position, sequence, kind, payload, checksum FROM row ORDER BY position {order}"
        self._connection = connection
        self.whole = False
        self.damaged = 0

    def chunks(self) -> Iterator[list[Row]]:
        chunk: list[Row] = []
        try:
            for *fields, check in self._connection.execute(self._query):
                try:
                    row = msgspec.convert(fields, tuple[int, int, str, bytes])
                    sound = checksum(Row(*row)) == check
                except msgspec.ValidationError:
                    sound = False
                if sound:
                    chunk.append(Row(*row))
                else:
                    self.damaged += 1
                if len(chunk) >= _CHUNK:
                    yield chunk
                    chunk = []
            self.whole = True
        except sqlite3.Error:
            pass  # the rest is tried from the other end
        if chunk:
            yield chunk
