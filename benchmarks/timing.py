"""How long a step takes: timed run by run, once it has settled."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

TOLERANCE = 0.02  # between two medians in a row


class Effort(msgspec.Struct, frozen=True):
    """How long to measure: warm-up and measured runs, both at least this many and this long, but never longer than
    `most_seconds`: a model of a second would take a quarter of an hour, and what is cut there says so."""

    warm_up_runs: int = 10
    warm_up_s: float = 2.0
    runs: int = 1024
    seconds: float = 60.0
    most_seconds: float = 120.0


class WarmUp(msgspec.Struct, frozen=True):
    """What went before the measured runs, and whether the last two medians agreed within 2 % at its end."""

    runs: int
    seconds: float
    steady: bool


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds of each measured run. `cut`: the time ran out before there were as many as asked."""

    times_ms: list[float]
    warm_up: WarmUp
    cut: bool


FULL = Effort()
QUICK = Effort(warm_up_runs=10, warm_up_s=0.3, runs=200, seconds=1.0, most_seconds=4.0)


def is_steady(times_ms: Sequence[float], block: int) -> bool:
    """Whether the medians of the last two blocks of so many timings agree within 2 %."""
    if len(times_ms) < 2 * block:
        return False
    last, before = statistics.median(times_ms[-block:]), statistics.median(times_ms[-2 * block : -block])
    return abs(last - before) <= TOLERANCE * before


def timed(step: Callable[[int], object], effort: Effort) -> Timing:
    """Times each run after the warm-up."""
    warm_up = _warm_up(step, effort)
    times: list[float] = []
    started = time.perf_counter()
    while True:
        start = time.perf_counter()
        step(len(times))
        now = time.perf_counter()
        times.append((now - start) * 1000)
        spent = now - started
        enough = len(times) >= effort.runs and spent >= effort.seconds
        if enough or spent >= effort.most_seconds:
            return Timing(times, warm_up, cut=not enough)


def _warm_up(step: Callable[[int], object], effort: Effort) -> WarmUp:
    """Runs until at least the asked runs and seconds have passed and two medians in a row agree within 2 %."""
    times: list[float] = []
    started = time.perf_counter()
    block = max(5, effort.warm_up_runs // 2)
    while True:
        start = time.perf_counter()
        step(len(times))
        now = time.perf_counter()
        times.append((now - start) * 1000)
        if len(times) < max(effort.warm_up_runs, 2 * block) or now - started < effort.warm_up_s:
            continue
        steady = is_steady(times, block)
        if steady or now - started >= 4 * effort.warm_up_s:
            return WarmUp(len(times), round(now - started, 3), steady)
