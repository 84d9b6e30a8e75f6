"""What an output that stores and forwards has to offer: the edge, where the socket or file is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from edgetl.runtime.spool.rows import Row


class Delivered(msgspec.Struct, frozen=True):
    """What became of some rows: the first `count` are settled; of those, `refused` will never be taken."""

    count: int
    refused: tuple[tuple[Row, str], ...] = ()


class Delivery(Protocol):
    """One receiver, used from one thread. Every method may take its time and may raise OutputError or StorageError."""

    batch: int  # rows that it takes at a time

    def open(self) -> None:
        """Connects. After a failure it is called again, on the same object."""

    def deliver(self, rows: Sequence[Row]) -> Delivered:
        """Gives rows to the receiver; returns when it has acknowledged. With no rows: raises if the line is dead."""

    def close(self) -> None:
        """Lets go of a connection that failed; never raises."""

    def leave(self) -> None:
        """Says good-bye and lets go; never raises."""
