"""Many frames at many times the speed of a camera: memory, descriptors, work and frames under way stay as they were."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetl.runtime.inspector import Inspector
from edgetl.runtime.line import Line
from edgetl.runtime.sources import Frame
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny
from tests.runtime.line_rig import ListSource, SlowInterpreter, frame

FRAMES = int(os.environ.get("EDGETL_ENDURANCE_FRAMES", "60000"))  # half an hour at 30 a second; a day is 2592000


def long_belt() -> Iterator[Frame]:
    """A part a frame; the camera is away for fifty of every thousand."""
    for index in range(FRAMES):
        yield frame(index, part=index, fault="away" if index % 1000 < 50 else None)


class Measuring:
    """Looks at the process every thousandth frame.

    A machine that is busy with something else makes all of it slower, so time itself is not looked at: a frame's processor
    time is, and how many frames are under way at once, which is the median latency times the rate (Little's law).
    """

    def __init__(self) -> None:
        self.memory_mb: list[float] = []
        self.descriptors: list[int] = []
        self.processor_ms: list[float] = []  # a frame
        self.under_way: list[float] = []
        self._began, self._worked = time.monotonic(), time.process_time()
        self._latencies: list[float] = []
        self.parts = 0

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        if verdict is not None and verdict.part is not None:
            self.parts += 1
            self._latencies.append(verdict.latency_ms)
        if frame.index % 1000 == 999:
            now, worked = time.monotonic(), time.process_time()
            self.processor_ms.append(worked - self._worked)  # seconds a thousand frames
            self.under_way.append(statistics.median(self._latencies) / (now - self._began))
            self._began, self._worked = now, worked
            self._latencies.clear()
            gc.collect()
            status = Path("/proc/self/status").read_text()
            self.memory_mb.append(int(status.partition("VmRSS:")[2].split()[0]) / 1000)
            self.descriptors.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))

    def close(self) -> None:
        pass


@pytest.mark.slow
@pytest.mark.fault("W5")
def test_memory_descriptors_work_and_frames_under_way_stay_flat() -> None:
    measuring = Measuring()
    inspector = Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE)
    summary = Line(ListSource(long_belt(), triggered=True), inspector, [measuring]).run()
    assert (summary.frames, measuring.parts) == (FRAMES, FRAMES)
    warm = 20  # thousand frames: the windows of recent figures in summary and status are full by then
    growth = statistics.median(measuring.memory_mb[-10:]) - statistics.median(measuring.memory_mb[warm : warm + 10])
    assert growth < 1.0, f"{growth:.2f} MB more, {[round(m, 1) for m in measuring.memory_mb[::5]]}"
    assert max(measuring.descriptors[warm:]) <= measuring.descriptors[warm] + 1
    for figures, slack in ((measuring.processor_ms, 0.1), (measuring.under_way, 1.0)):
        # The best of ten thousands: what the machine is busy with comes and goes, what the line piles up stays.
        early, late = min(figures[warm : warm + 10]), min(figures[-10:])
        assert late < 1.5 * early + slack, [round(one, 2) for one in figures[::5]]
