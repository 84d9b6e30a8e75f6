"""Wall clocks jump and start in 1970; only what people read depends on them."""

from __future__ import annotations

import itertools

import pytest

from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.judging import Rules, Stamp
from edgetl.runtime.line import Line
from edgetl.runtime.outputs.station import stamps
from edgetl.runtime.status import StatusBoard
from tests.runtime import tiny
from tests.runtime.line_rig import Kept
from tests.runtime.service.hanging import Endless

# forward a day, back two, daylight saving time, a leap second, and 1970
TIMES = ["2025-06-01T10:00:00Z", "2025-06-02T10:00:00Z", "2025-05-31T10:00:00Z", "2025-10-26T02:30:00Z",
         "2025-10-26T01:30:00Z", "2016-12-31T23:59:60Z", "1970-01-01T00:00:09Z"]  # fmt: skip


@pytest.mark.fault("T1")
def test_wall_clock_that_jumps_changes_no_order_no_rate_and_no_age() -> None:
    wall, kept, board = itertools.cycle(TIMES), Kept(), StatusBoard()
    rules = Rules(stamp=lambda: Stamp(device="press-3", time=next(wall), synced=True), max_latency_ms=60_000)
    inspector = Inspector(open_interpreter("litert", tiny.tflite(), "m"), tiny.HOW, tiny.RULE)
    summary = Line(Endless(), inspector, [kept], 100, rules=rules, board=board).run()
    verdicts = kept.verdicts
    assert [v.sequence for v in verdicts] == list(range(1, len(verdicts) + 1))
    assert {v.time for v in verdicts} == set(TIMES)
    assert all(0 <= v.latency_ms < 60_000 and v.verdict == "OK" for v in verdicts)
    assert [v.time_s for v in verdicts] == sorted(v.time_s for v in verdicts)
    status = board.snapshot()
    assert 0 < summary.seconds < 600 and 0 <= status.uptime_s < 600
    assert status.last_verdict_age_s is not None and 0 <= status.last_verdict_age_s < 600


@pytest.mark.fault("T2")
def test_verdicts_of_a_clock_that_nobody_set_say_so() -> None:
    stamp = stamps("press-3", synced=lambda: False)()
    assert (stamp.device, stamp.synced) == ("press-3", False)
    rules = Rules(stamp=stamps("press-3", synced=lambda: False))
    kept = Kept()
    inspector = Inspector(open_interpreter("litert", tiny.tflite(), "m"), tiny.HOW, tiny.RULE)
    Line(Endless(), inspector, [kept], 5, rules=rules).run()
    assert kept.verdicts and all(v.synced is False for v in kept.verdicts)
