"""When something happened, told so that a wrong wall clock cannot mislead."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Protocol

import msgspec

from edgetl.runtime.wall_clock import synchronised

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Moment(msgspec.Struct, frozen=True):
    """A point in time: seconds since that boot (they never jump), and the wall clock with how far it can be trusted."""

    boot: str
    boot_s: float
    wall_s: float
    synchronised: bool

    @property
    def text(self) -> str:
        """The wall clock in UTC, for people."""
        return datetime.datetime.fromtimestamp(self.wall_s, datetime.timezone.utc).isoformat(timespec="seconds")


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> Moment:
        """This moment."""

    def sleep(self, seconds: float) -> None:
        """Returns after that time."""


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> Moment:
        """This moment."""
        boot = _BOOT_ID.read_text().strip()
        return Moment(boot, time.clock_gettime(time.CLOCK_BOOTTIME), time.time(), synchronised())

    def sleep(self, seconds: float) -> None:
        """Returns after that time."""
        time.sleep(seconds)
