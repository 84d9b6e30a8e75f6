"""A canary first, waves after it, and an end where too many fail."""

from __future__ import annotations

import threading
import time

import pytest

from edgetl.errors import HealthError
from edgetl.flasher.fleet.rollout import SIDE_BY_SIDE, roll_out
from edgetl.flasher.fleet.waves import HostState, Plan, stop_reason, waves

TEN = tuple(f"line-{number}" for number in range(10))


def states(*failing: str, plan: Plan) -> tuple[dict[str, str], str | None, list[str]]:
    """How ten devices end when some refuse; and the waves that began."""

    def flash(host: str) -> bool:
        if host in failing:
            raise HealthError(f"{host}: too slow")
        return host != "line-9"

    begun: list[str] = []
    done = roll_out(TEN, flash, plan, begun.append)
    return {result.host: result.state for result in done.results}, done.stopped, begun


@pytest.mark.parametrize(
    ("plan", "sizes"),
    [
        (Plan(), [1, 3, 3, 3]),
        (Plan(canary=2, wave_share=1.0), [2, 8]),
        (Plan(canary=0, wave_share=0.1), [1] * 10),
        (Plan(canary=99), [10]),
    ],
)
def test_every_device_is_in_one_wave(plan: Plan, sizes: list[int]) -> None:
    cut = waves(TEN, plan)
    assert [len(wave) for wave in cut] == sizes
    assert tuple(host for wave in cut for host in wave) == TEN


def test_all_is_well() -> None:
    ended, stopped, begun = states(plan=Plan())
    assert stopped is None
    assert list(ended.values()) == ["flashed"] * 9 + ["unchanged"]
    assert [text.partition(":")[0] for text in begun] == ["canary", "wave 1", "wave 2", "wave 3"]


def test_a_canary_that_fails_is_the_only_one_touched() -> None:
    ended, stopped, _ = states("line-0", plan=Plan(max_failed_share=1.0))
    assert stopped == "the canary failed: line-0"
    assert list(ended.values()) == ["failed"] + ["not tried"] * 9


def test_one_of_ten_ends_it_and_those_at_hand_are_finished() -> None:
    together = threading.Barrier(3)

    def flash(host: str) -> bool:
        if host != "line-0":
            together.wait(20)
        if host == "line-2":
            raise HealthError(f"{host}: too slow")
        return True

    done = roll_out(TEN, flash, Plan(), lambda text: None)
    assert done.stopped == "1 of 10 failed, 0% may"
    assert [result.state for result in done.results] == ["flashed", "flashed", "failed", "flashed"] + ["not tried"] * 6


def test_no_further_device_of_a_wave_is_begun_after_too_many_failed() -> None:
    hosts = [f"line-{number}" for number in range(400)]

    def flash(host: str) -> bool:
        if host == "line-3":
            raise HealthError(f"{host}: too slow")
        time.sleep(0.05)
        return True

    done = roll_out(hosts, flash, Plan(wave_share=1.0), lambda text: None)
    assert done.stopped == "1 of 400 failed, 0% may"
    assert sum(result.state != "not tried" for result in done.results) < 3 * SIDE_BY_SIDE


def test_a_share_may_fail() -> None:
    ended, stopped, _ = states("line-2", plan=Plan(max_failed_share=0.1))
    assert stopped is None
    assert list(ended.values()).count("failed") == 1
    assert "not tried" not in ended.values()


def test_nothing_is_left_when_the_last_wave_fails() -> None:
    results = [HostState(host, "failed" if host == "line-9" else "flashed") for host in TEN]
    assert stop_reason(results, 10, Plan()) == "1 of 10 failed, 0% may"
    assert states("line-9", plan=Plan())[1] is None  # there was nobody left to spare


def test_the_devices_of_a_wave_are_flashed_side_by_side() -> None:
    together = threading.Barrier(3)

    def flash(host: str) -> bool:
        if host != "line-0":
            together.wait(timeout=60)
        return True

    done = roll_out(TEN[:7], flash, Plan(wave_share=0.4), lambda text: None)
    assert {result.state for result in done.results} == {"flashed"}
