"""What waits in the spool: results as they will be sent, and the gaps between them."""

from __future__ import annotations

import zlib

import msgspec

OVERHEAD = 64  # bytes that a row costs beside its payload: keys, checksum, index entry
GAP = "GAP"
SCHEMA = 1


class Row(msgspec.Struct, frozen=True):
    """One record on its way out.

    `position` orders the rows of this spool and is what outputs acknowledge; `sequence` is the record's name for the
    world, unique for a device for ever. `kind` is the verdict, or GAP. `payload` is one JSON object.
    """

    position: int
    sequence: int
    kind: str
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes that the row counts for in the spool's bounds."""
        return len(self.payload) + OVERHEAD


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Says that results are missing, so that a reader can tell "nothing happened" from "we do not know".

    Of the sequence numbers `first` to `last`, `lost` results will not come (None: nobody knows how many). `outputs`
    names the outputs that had not acknowledged them; empty: none of them ever will.
    """

    schema: int = SCHEMA
    device: str
    sequence: int
    gap: str
    first: int
    last: int
    lost: int | None = None
    outputs: tuple[str, ...] = ()


def checksum(row: Row) -> int:
    """SQLite keeps no checksum of its pages; this one tells a damaged row from a sound one."""
    return zlib.crc32(row.payload, row.sequence & 0xFFFFFFFF)


def gap_row(position: int, gap: Gap) -> Row:
    """The row that carries a gap."""
    return Row(position, gap.sequence, GAP, msgspec.json.encode(gap))
