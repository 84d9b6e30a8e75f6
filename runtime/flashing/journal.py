"""The journal: JSON lines, only ever added to, each on the disk before what it announces is done.

Behind its end lie some blocks that are its own already, so that on a disk that fills up a release can still be taken
back, and what happened be noted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgetl.errors import StorageError, storage
from edgetl.runtime.files import sync, write_file
from edgetl.runtime.flashing.history import History, fold
from edgetl.runtime.flashing.records import AnyEntry, Started, Stopped
from edgetl.runtime.flashing.reserve import keep_room

_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)
_encoder = msgspec.json.Encoder()
COMPACT_BYTES = 256 << 10  # about a thousand lines; a flash writes eight
_KEEP = 200
RESERVE_BYTES = 16 << 10  # a flash with its way back writes some 4 KB, a start of the service 0.2 KB


class Journal:
    """The journal of one device root. Safe between processes: whoever writes holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[AnyEntry]:
        """All whole entries. A line torn by a power cut, or of a later version, is passed over."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return list(_decoded(data))

    def history(self) -> History:
        """What the entries amount to."""
        return fold(self.entries())

    def append(self, entry: AnyEntry) -> None:
        """Adds an entry; on return it is on the disk. Raises StorageError, and then nothing was added."""
        with self._locked() as fd:
            self._add(fd, entry)

    def append_if(self, entry: AnyEntry, wanted: Callable[[History], bool]) -> bool:
        """Adds an entry if the history, as it is then, wants it; two processes cannot both find that it does."""
        with self._locked() as fd:
            if not wanted(self.history()):
                return False
            self._add(fd, entry)
            return True

    def _add(self, fd: int, entry: AnyEntry) -> None:
        with storage(self.path):
            end = _whole_end(fd)
            if end != os.fstat(fd).st_size:
                os.ftruncate(fd, end)  # which gives the reserve back too, so only where there is a torn line
            try:
                _write_all(fd, _encoder.encode(entry) + b"\n")
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, end)
                raise
        with contextlib.suppress(OSError):  # it is what the reserve is for, that there is no room for another
            keep_room(fd, RESERVE_BYTES)

    def reserve(self) -> None:
        """Makes sure that all entries of a flash have room. Raises StorageError where there is none."""
        with self._locked() as fd, storage(self.path):
            keep_room(fd, RESERVE_BYTES)

    def compact(self) -> None:
        """Drops old entries once the file is large, if what remains tells the same history, and if there is room."""
        if not self.path.is_file() or self.path.stat().st_size < COMPACT_BYTES:
            return
        with contextlib.suppress(StorageError), self._locked():
            entries = self.entries()
            kept = _shortened(entries)
            if fold(kept) == fold(entries):
                write_file(self.path, b"".join(_encoder.encode(entry) + b"\n" for entry in kept))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        with storage(self.path):
            fd = self._opened()
        try:
            yield fd
        finally:
            os.close(fd)

    def _opened(self) -> int:
        """A descriptor under lock; opened again if the file was replaced while the lock was waited for."""
        while True:
            new = not self.path.exists()
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if new:
                sync(self.path.parent)
            if _same_file(fd, self.path):
                return fd
            os.close(fd)


def _decoded(data: bytes) -> Iterator[AnyEntry]:
    for line in data.split(b"\n")[:-1]:  # what follows the last newline is a torn line
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            continue


def _shortened(entries: list[AnyEntry]) -> list[AnyEntry]:
    kept = [entry for entry in entries[:-_KEEP] if not _passing(entry)][-_KEEP:] + entries[-_KEEP:]
    starts = [entry for entry in entries if isinstance(entry, Started)]
    if starts and not any(isinstance(entry, Started) for entry in kept):
        served = starts[-1]  # one start, and its end, say still that there is a service
        kept = [served, Stopped(at=served.at, pid=served.pid), *kept]
    return kept


def _passing(entry: AnyEntry) -> bool:
    """Entries that say nothing about which release lies where, and of which there are many."""
    return isinstance(entry, Started | Stopped)


def _same_file(fd: int, path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (found.st_ino, found.st_dev) == (mine.st_ino, mine.st_dev)


def _whole_end(fd: int) -> int:
    """Where the last whole line ends; a torn one behind it is written over."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - 4096)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
