"""Who says a verdict, and when by the wall clock."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from datetime import datetime, timezone

from edgetl.runtime.judging import Stamp
from edgetl.runtime.wall_clock import synchronised


def station_name(configured: str | None) -> str:
    """The configured name, or the host's, in letters that a topic and a node may have."""
    return configured or re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:64] or "edgetl"


def stamps(
    station: str, clock: Callable[[], float] = time.time, synced: Callable[[], bool] = synchronised
) -> Callable[[], Stamp]:
    """Gives stamps in UTC with milliseconds; `clock` is in seconds since 1970."""

    def stamp() -> Stamp:
        now = datetime.fromtimestamp(clock(), timezone.utc)
        text = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Stamp(device=station, time=text, synced=synced())

    return stamp
