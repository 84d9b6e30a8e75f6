"""Sequence numbers that are never given twice, not even after a power cut or the loss of the database.

Numbers are reserved on disk in blocks. After an orderly stop the reservation ends at the last number given; after
any other stop the rest of the block is skipped, and the spool says so in a gap.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from edgetl.errors import storage
from edgetl.runtime.files import write_file

BLOCK = 1000  # numbers reserved at a time: 3 minutes of 5 parts a second, and no more than that is skipped
_SLOT = 32  # bytes; a disk writes a sector of 512 whole, so a slot is old or new


def _slot(turn: int, number: int) -> bytes:
    text = b"%08x %014x " % (turn & 0xFFFFFFFF, number)
    return text + b"%08x" % zlib.crc32(text)


def _read_slot(slot: bytes) -> tuple[int, int] | None:
    """Turn and number; None for a slot that was not written to its end."""
    text, check = slot[:24], slot[24:]
    if len(slot) != _SLOT or check != b"%08x" % zlib.crc32(text):
        return None
    turn, number = text.split()
    return int(turn, 16), int(number, 16)


class SequenceFile:
    """Two slots that are written in turn, in place: that needs no free space, so it works on a full disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = 0

    def read(self) -> int:
        """The number up to which numbers may have been given; 0 when there is no file or nothing readable in it."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return 0
        found = [_read_slot(data[at : at + _SLOT]) for at in (0, _SLOT)]
        self._turn, number = max((slot for slot in found if slot is not None), default=(0, 0))
        return number

    def write(self, number: int) -> None:
        """Raises StorageError; the number that was there before then still is."""
        turn = self._turn + 1
        if not self._path.exists():
            write_file(self._path, _slot(turn, number) * 2)
        else:
            with storage(self._path), self._path.open("r+b", buffering=0) as file:
                file.seek(turn % 2 * _SLOT)
                file.write(_slot(turn, number))
                os.fsync(file.fileno())
        self._turn = turn


class Numbers:
    """Gives the numbers. `give` is called in the loop and never waits for the disk; `reserve` may wait."""

    def __init__(self, start: int, reserved: int, wanted: Callable[[], None] = lambda: None) -> None:
        self._next = start
        self._reserved = reserved
        self._wanted = wanted
        self._lock = threading.Lock()

    def give(self) -> int:
        """The next number."""
        with self._lock:
            number = self._next
            self._next += 1
            low = self._reserved - self._next == BLOCK // 2 or self._next > self._reserved
        if low:
            self._wanted()
        return number

    @property
    def last(self) -> int:
        """The last number given; start - 1 before the first."""
        with self._lock:
            return self._next - 1

    def shortage(self) -> int | None:
        """The number up to which to reserve now, None while enough are reserved."""
        with self._lock:
            enough = self._reserved - self._next > BLOCK // 2
            return None if enough else max(self._next, self._reserved) + BLOCK

    def reserved(self, up_to: int) -> None:
        """`up_to` is on disk now."""
        with self._lock:
            self._reserved = up_to
