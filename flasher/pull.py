"""Fetches what devices kept. What is here already is not fetched again; a fetch that breaks off goes on where it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from edgetl.errors import storage
from edgetl.flasher.agent import Agent
from edgetl.flasher.progress import Reporter
from edgetl.runtime.collect.carry import Parcel
from edgetl.runtime.collect.record import Collected, read_collected, record_path
from edgetl.runtime.files import write_file

_NAMES_AT_ONCE = 100
_TIMEOUT_S = 120.0


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """How many pictures the device kept, were here already, came, and could not be had (gone there meanwhile, or
    damaged on the way)."""

    kept: int
    here: int
    fetched: int
    missed: int


def pull(agent: Agent, out: Path, folder: str | None, reporter: Reporter) -> Pulled:
    """Fetches into `out` what is not there. Raises TransportError, UsageError, StorageError; what came stays."""
    agent.facts()
    where = ["--folder", folder] if folder is not None else []
    kept = agent.ask(["kept", *where], list[Collected])
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
    here = {(r.picture, r.sha256) for r in read_collected(out)}
    wanted = [r for r in kept if (r.picture, r.sha256) not in here and _plain(r.picture)]
    fetched = missed = 0
    while wanted:
        names = [r.picture for r in wanted[:_NAMES_AT_ONCE]]
        parcels = agent.ask(["kept-pictures", *where], list[Parcel], [msgspec.json.encode(names)], timeout_s=_TIMEOUT_S)
        came = {p.record.picture for p in parcels}
        stored = sum(_stored(parcel, out, set(names)) for parcel in parcels)
        # What stands before the last that came, and did not come, is gone on the device.
        done = max((names.index(name) for name in came if name in names), default=len(names) - 1) + 1
        fetched, missed, wanted = fetched + stored, missed + done - stored, wanted[done:]
        reporter.sent(fetched + missed, fetched + missed + len(wanted))
    return Pulled(kept=len(kept), here=len(kept) - fetched - missed, fetched=fetched, missed=missed)


def _stored(parcel: Parcel, out: Path, asked: set[str]) -> bool:
    """Writes one picture and its record; False for what was not asked for, or is not what its record says."""
    record = parcel.record
    if record.picture not in asked or hashlib.sha256(parcel.data).hexdigest() != record.sha256:
        return False
    write_file(out / record.picture, parcel.data)
    write_file(record_path(out, record), msgspec.json.encode(record))
    return True


def _plain(name: str) -> bool:
    """A file's name and nothing else: a device decides no path on this machine."""
    return bool(name) and Path(name).name == name and not name.startswith(".") and "\0" not in name
