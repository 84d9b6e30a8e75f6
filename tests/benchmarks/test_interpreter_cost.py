"""Two steps take turns fairly, and what a slower one adds is found, also where the machine is busy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgetl.benchmarks.comparing import compare_interleaved
from edgetl.benchmarks.interpreter_cost import Turns, in_turns, measure
from tests.runtime import tiny


def test_steps_take_turns_and_each_goes_first_half_the_time() -> None:
    order: list[str] = []
    one, other = Turns(), Turns()
    in_turns((lambda: order.append("a"), lambda: order.append("b")), 6, (one, other), warm_up=2)
    assert "".join(order) == "baab" * 4
    assert [len(one.wall_ms), len(other.wall_ms), len(one.processor_ms), len(other.processor_ms)] == [6] * 4


def spin(loops: int) -> int:
    return sum(range(loops))


def test_slower_one_is_found_by_its_processor_time_and_waiting_is_not_in_it() -> None:
    def waits() -> None:
        spin(20_000)
        time.sleep(0.002)

    one, other = Turns(), Turns()
    in_turns((waits, lambda: spin(30_000)), 96, (one, other), warm_up=2)
    found = compare_interleaved(one.processor_ms, other.processor_ms)
    assert found.differ and found.ratio > 1.2
    assert compare_interleaved(one.wall_ms, other.wall_ms).ratio < 1.0


def test_bundle_is_measured_through_edgetl_and_bare(tmp_path: Path) -> None:
    found = measure(tiny.write(tmp_path / "part.edgetl"), pairs=2, turns=48)
    assert found["turns"] == 96
    for what in ("raw", "logits"):
        for one in (found[what]["wall"], found[what]["processor"]):
            assert one["edgetl_ms"] > one["bare_ms"] > 0
            assert one["ratio"] == pytest.approx(one["edgetl_ms"] / one["bare_ms"], rel=0.5)
