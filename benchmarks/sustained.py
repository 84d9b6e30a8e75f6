"""The same work for minutes on end: what a board does once it is as warm as it gets."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgetl.runtime.service.heat import Heat, read_heat, slowed_between


class Minute(msgspec.Struct, frozen=True):
    """One minute: its median, the processor's clock (None where nobody knows it), and how warm and slowed down it was."""

    p50_ms: float
    runs: int
    clock_mhz: float | None
    temperature_c: float | None
    slowed: str


def sustain(
    step: Callable[[int], object],
    minutes: int,
    *,
    minute_s: float = 60.0,
    heat: Callable[[], Heat] = read_heat,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Minute], list[list[float]]]:
    """Works without a pause and tells each minute, and every timing in it."""
    told, kept, count, before = [], [], 0, heat()
    for _ in range(minutes):
        times: list[float] = []
        end = clock() + minute_s
        while (start := clock()) < end:
            step(count)
            count += 1
            times.append((clock() - start) * 1000)
        now = heat()
        slowed = slowed_between(before, now)
        told.append(Minute(round(statistics.median(times), 4), len(times), clock_mhz(), now.temperature_c, slowed))
        kept.append(times)
        before = now
    return told, kept


def drift(told: list[Minute]) -> float | None:
    """The last minute's median as a multiple of the first one's; None for fewer than two."""
    return told[-1].p50_ms / told[0].p50_ms if len(told) > 1 else None


def clock_mhz(sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> float | None:
    """The first processor's clock now, from the frequency driver or /proc/cpuinfo."""
    try:
        return float((sys / "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").read_text()) / 1000
    except (OSError, ValueError):
        pass
    try:
        lines = (proc / "cpuinfo").read_text().splitlines()
        return next((float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")), None)
    except (OSError, ValueError):
        return None
