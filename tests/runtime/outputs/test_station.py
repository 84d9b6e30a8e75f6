"""Who speaks, and when by a clock that may be wrong."""

from __future__ import annotations

import re
import socket

import pytest

from edgetl.runtime.outputs.station import stamps, station_name


def test_a_station_is_called_as_configured_or_as_its_host() -> None:
    assert station_name("press-3") == "press-3"
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", station_name(None)) and socket.gethostname()[:3] in station_name(None)


@pytest.mark.fault("T2")
def test_a_clock_that_nobody_set_is_told_as_such_until_it_is_set() -> None:
    clock = iter([12.5, 1_767_323_045.678])
    synced = iter([False, True])
    stamp = stamps("press-3", lambda: next(clock), lambda: next(synced))
    booted, later = stamp(), stamp()
    assert (booted.time, booted.synced) == ("1970-01-01T00:00:12.500Z", False)
    assert (later.time, later.synced, later.device) == ("2026-01-02T03:04:05.678Z", True, "press-3")
