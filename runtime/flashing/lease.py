"""Who is flashing this device: one workstation at a time, and none for ever.

Two locks in one file. An advisory lock keeps two commands apart while they run; the system releases it with the
process. The record inside holds the device for its owner between commands, until it is given back, goes silent, or
belongs to another boot.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from edgetl.errors import BusyError, storage
from edgetl.runtime.flashing.clock import Clock, Moment
from edgetl.runtime.flashing.layout import DeviceRoot

_ROOM = 512


class Lease(msgspec.Struct, frozen=True):
    """`owner` is PID@HOST/MARK of the workstation's process; the mark tells machines of one name apart."""

    owner: str
    since: Moment
    renewed: Moment


def standing(lease: Lease | None, now: Moment, lease_s: float) -> Lease | None:
    """The lease if it still counts."""
    if lease is None or lease.renewed.boot != now.boot or now.boot_s - lease.renewed.boot_s > lease_s:
        return None
    return lease


class Holder:
    """One command's hold of the device."""

    def __init__(self, fd: int, owner: str, clock: Clock) -> None:
        self._fd = fd
        self._clock = clock
        self._lease = Lease(owner, clock.now(), clock.now())

    def take(self, found: Lease | None) -> None:
        """Writes the owner's lease over `found`, which no longer counts or is the owner's own."""
        if found is not None and found.owner == self._lease.owner:
            self._lease = found
        self.renew()

    def renew(self) -> None:
        """Tells that the owner is still at work."""
        self._lease = msgspec.structs.replace(self._lease, renewed=self._clock.now())
        self._write(msgspec.json.encode(self._lease))

    def give_back(self) -> None:
        """Lets the next owner in."""
        self._write(b"")

    def _write(self, data: bytes) -> None:
        # Written in place and not synced: after a power cut the boot id in it, or its damage, makes it void. Never
        # shortened: the way back needs a lease too, on a disk that is full.
        size = max(_ROOM, len(data))
        with storage("the lock"):
            os.pwrite(self._fd, data.ljust(size), 0)
            os.ftruncate(self._fd, size)


@contextmanager
def holding(
    root: DeviceRoot, owner: str, clock: Clock, lease_s: float, take_over: str | None = None
) -> Iterator[Holder]:
    """Holds the device for one command. Raises BusyError, which names the owner, if somebody else has it.

    `take_over` names an owner whose lease is void because the caller knows it to be dead.
    """
    with storage(root.lease):
        fd = os.open(root.lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(_read(fd)) from None  # a command at work holds it, however old its record
        found = standing(_read(fd), clock.now(), lease_s)
        if found is not None and found.owner not in (owner, take_over):
            raise _busy(found)
        holder = Holder(fd, owner, clock)
        holder.take(found)
        yield holder
    finally:
        os.close(fd)


def read_lease(root: DeviceRoot) -> Lease | None:
    """The lease as it lies there, whether it still counts or not."""
    try:
        return msgspec.json.decode(root.lease.read_bytes(), type=Lease)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _read(fd: int) -> Lease | None:
    try:
        return msgspec.json.decode(os.pread(fd, 1 << 16, 0), type=Lease)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _busy(lease: Lease | None) -> BusyError:
    if lease is None:
        return BusyError("busy: another command is at work on the device; wait for it to end")
    return BusyError(f"busy by {lease.owner} since {lease.since.text}; wait for it to end")
