"""A verdict that comes too late is no verdict: the part is gone."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.judging import Rules
from edgetl.runtime.line import Line
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources import Frame
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny
from tests.runtime.line_rig import Kept


class Camera:
    """A hundred frames by the clock."""

    name = "camera"
    live = True
    triggered = False

    def __init__(self) -> None:
        self._left = 100

    def read(self) -> Frame | None:
        if not self._left:
            return None
        self._left -= 1
        time.sleep(0.005)
        now = time.monotonic()
        return Frame(100 - self._left, self.name, tiny.plain("green", 640, 480), now, now)

    def close(self) -> None:
        pass


class Working:
    """The model behind so much work of the processor as a picture takes on a small board."""

    def __init__(self, work_s: float = 0.003) -> None:
        self._inner = open_interpreter("litert", tiny.tflite(), "m")
        self.info, self.size, self.raw = self._inner.info, self._inner.size, self._inner.raw
        self._work_s = work_s

    def logits(self, image: Image) -> np.ndarray:
        end_s = time.thread_time() + self._work_s
        while time.thread_time() < end_s:
            pass
        return self._inner.logits(image)


def judged(max_latency_ms: float | None) -> tuple[list[Verdict], dict[str, int]]:
    kept = Kept()
    summary = Line(
        Camera(), Inspector(Working(), tiny.HOW, tiny.RULE), [kept], rules=Rules(max_latency_ms=max_latency_ms)
    ).run()
    return kept.verdicts, summary.verdicts


@pytest.mark.fault("T4")
def test_verdicts_that_other_processes_delay_are_unknown_and_counted() -> None:
    """Busy loops share this process's one processor. The limit is twice what a verdict usually takes without them."""
    before = os.sched_getaffinity(0)
    busy = []
    try:
        os.sched_setaffinity(0, {min(before)})
        quiet, _ = judged(None)
        assert {v.verdict for v in quiet} == {"OK"}
        limit_ms = 2 * statistics.median(v.latency_ms for v in quiet)
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]  # inherit the processor
        verdicts, counts = judged(limit_ms)
    finally:
        os.sched_setaffinity(0, before)
        for process in busy:
            process.kill()
            process.wait()
    late = [v for v in verdicts if v.latency_ms > limit_ms]
    by_chance = sum(v.latency_ms > limit_ms for v in quiet) / len(quiet)
    assert len(late) / len(verdicts) > by_chance, "the others do take the processor"
    assert late and all(v.verdict == "UNKNOWN" and str(v.reason).startswith("late: ") for v in late)
    assert all(v.verdict == "OK" for v in verdicts if v.latency_ms < limit_ms)
    assert counts["UNKNOWN"] == len([v for v in verdicts if v.verdict == "UNKNOWN"]) >= len(late)
