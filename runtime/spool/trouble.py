"""What a database error means for the spool. Pure; SQLite's own words decide, since Python 3.10 gives no code."""

from __future__ import annotations

import enum
import sqlite3

import msgspec

from edgetl.errors import EdgetlError


class Remedy(enum.Enum):
    """What to do before the next try."""

    WAIT = "wait"  # the file is sound, there is no room
    REOPEN = "reopen"  # the file system went away or turned read-only
    REBUILD = "rebuild"  # what the file holds cannot be trusted


class Trouble(msgspec.Struct, frozen=True):
    """What is the matter, in words for people, and the remedy."""

    reason: str
    remedy: Remedy


_SIGNS = (
    ("full", Trouble("the disk is full", Remedy.WAIT)),
    ("readonly", Trouble("the file system is read-only", Remedy.REOPEN)),
    ("read-only", Trouble("the file system is read-only", Remedy.REOPEN)),
    ("unable to open", Trouble("the spool's file cannot be opened", Remedy.REOPEN)),
    ("locked", Trouble("another process holds the spool", Remedy.WAIT)),
    # After a failed fsync the kernel may call lost pages clean, so a second fsync would succeed for nothing
    # (the PostgreSQL project's "fsyncgate", 2018). Everything is written anew, into another file.
    ("i/o error", Trouble("the disk reported an I/O error", Remedy.REBUILD)),
    ("malformed", Trouble("the database is damaged", Remedy.REBUILD)),
    ("not a database", Trouble("the file is no database of the spool", Remedy.REBUILD)),
)


def diagnose(error: Exception) -> Trouble:
    """The trouble behind an error met while storing."""
    if isinstance(error, EdgetlError):
        return Trouble(str(error), Remedy.REOPEN)
    said = str(error).lower()
    for sign, trouble in _SIGNS:
        if sign in said:
            return trouble
    if isinstance(error, OSError):
        return Trouble(error.strerror or str(error), Remedy.REOPEN)
    damaged = isinstance(error, sqlite3.DatabaseError)
    return Trouble(str(error), Remedy.REBUILD if damaged else Remedy.REOPEN)


def pause_s(failures: int, first_s: float = 1.0, longest_s: float = 30.0) -> float:
    """How long to wait after the n-th failure in a row: 1, 2, 4 … 30 s. A card that is gone is not asked all the time."""
    return float(min(first_s * 2.0 ** min(max(failures - 1, 0), 16), longest_s))
