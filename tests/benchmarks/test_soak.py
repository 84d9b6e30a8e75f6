"""The soak's referee: it must notice what it is there to notice."""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from edgetl.benchmarks.soak.__main__ import camera_outages, never_happened
from edgetl.benchmarks.soak.watching import Log, Sample, Verdicts, growth_mb, sample
from edgetl.benchmarks.soak.world import Way, misfortunes
from tests.runtime.waiting import until


def memory(*megabytes: float) -> list[Sample]:
    return [Sample(float(n), mb, 10, 5) for n, mb in enumerate(megabytes)]


def test_growth_leaves_the_warm_up_out_and_sees_a_leak() -> None:
    warm = [50.0 + n for n in range(10)]
    assert growth_mb(memory(*warm, *[60.0] * 90)) == 0.0
    assert growth_mb(memory(*warm, *[60.0 + n / 10 for n in range(90)])) == pytest.approx(8.0, abs=0.1)
    assert growth_mb(memory(*warm, *[60.0] * 50, 90.0, *[60.0] * 39)) == 0.0, "one peak is no growth"


def test_verdicts_are_counted_part_by_part() -> None:
    lines = [{"sequence": n, "verdict": kind, "part": part, "latency_ms": 1.0}
             for n, (kind, part) in enumerate([("OK", 1), ("NG", 2), ("FAULT", None), ("OK", 2)], 1)]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"summary": {"frames": 9}}])
    verdicts = Verdicts(io.StringIO(text))
    verdicts.join()
    assert verdicts.parts == {1: 1, 2: 2}, "the second verdict of part 2 does not go unseen"
    assert (verdicts.kinds["OK"], verdicts.sequences, verdicts.summary) == (2, [1, 2, 3, 4], {"frames": 9})


def test_log_is_searched_by_words_and_time(tmp_path: Path) -> None:
    log = Log(io.StringIO("the disk is full\nall is well\n"), tmp_path / "log", time.monotonic() - 50.0)
    until(lambda: len(log.lines) == 2)
    assert log.count(("disk is full", "nothing")) == 1
    assert log.count(("disk is full",), since_s=0.0, until_s=40.0) == 0
    assert "the disk is full" in (tmp_path / "log").read_text()


def test_world_is_mended_when_the_line_ends_in_the_middle_of_a_fault() -> None:
    done: list[str] = []
    way = Way("x", lambda: done.append("broken"), lambda: done.append("mended"), 3600.0, 3600.0)
    faults = misfortunes([way], 1, 1e9, lambda: "broken" in done, pauses_s=(0.0, 0.2))
    assert next(faults).kind == "x"
    assert done == ["broken", "mended"]


def test_same_seed_gives_the_outages_of_the_run() -> None:
    assert camera_outages(3, 600.0) == camera_outages(3, 600.0) > 10
    assert camera_outages(3, 0.0) == 0


def test_fault_that_never_came_is_not_passed_over() -> None:
    seen = Counter({"broker stopped": 3, "broker silent": 1, "camera away": 12})
    assert never_happened(seen) == ["disk full"], "as without root"
    assert never_happened(seen + Counter(["disk full"])) == []


def test_sample_of_this_process_is_plausible_and_of_none_is_none() -> None:
    here = sample(os.getpid(), time.monotonic())
    assert here is not None and here.memory_mb > 10 and here.descriptors > 2 and here.threads >= 1
    assert sample(2**22 + 1, 0.0) is None
