"""The device's side of `edgetl pull`: what is kept, and some of it at a time."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.collect.record import Collected, read_collected

MAX_BATCH_BYTES = 8_000_000  # an answer is one line of JSON in memory, on a board with 512 MB too


class Parcel(msgspec.Struct, frozen=True):
    """One picture on its way: its record and its bytes (base64 in JSON)."""

    record: Collected
    data: bytes


def listing(folder: Path) -> list[Collected]:
    """What is kept, oldest first. Raises UsageError where the folder is not there."""
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: nothing is collected there; name the folder of the line's `collect` section with --folder"
        )
    return read_collected(folder)


def batch(folder: Path, names: list[str], max_bytes: int = MAX_BATCH_BYTES) -> list[Parcel]:
    """The first of the named pictures, at least one and not many more than `max_bytes`; those gone meanwhile are left out."""
    known = {record.picture: record for record in listing(folder)}
    parcels: list[Parcel] = []
    total = 0
    for name in names:
        record = known.get(name)
        if record is None:
            continue
        if parcels and total + record.size_bytes > max_bytes:
            break
        try:
            parcels.append(Parcel(record, (folder / record.picture).read_bytes()))
        except FileNotFoundError:  # the quota took it
            continue
        total += record.size_bytes
    return parcels
