"""What a fleet costs, computed from what was measured; and how far a bad release gets."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from edgetl.benchmarks.fleet_scale import (
    FEWEST,
    MOST,
    Measured,
    breaks_first,
    carried,
    cost,
    flash_seconds,
    reach,
    wire_bytes,
)
from edgetl.flasher.fleet.waves import Plan
from tests.runtime import tiny

FOUND = Measured(result_bytes=250, answer_bytes=10, broker_s=1e-4, bundle_bytes=10_000_000, flash_s=6.0)


def test_cost_grows_with_the_fleet_and_not_with_the_device() -> None:
    ten, many = cost(10, 5, FOUND, Plan()), cost(10_000, 5, FOUND, Plan())
    assert (ten.results_per_second, ten.to_broker_kbit_s, ten.broker_cores) == (50, 100, 0.005)
    assert many.to_broker_kbit_s == 1000 * ten.to_broker_kbit_s
    assert many.spool_lasts_h == ten.spool_lasts_h > 10
    assert many.upload_gb == 100
    assert many.rollout_h > ten.rollout_h


def test_rollout_waits_for_whichever_is_slower() -> None:
    slow_link = cost(100, 5, msgspec.structs.replace(FOUND, bundle_bytes=10**9), Plan())
    assert "uplink" in slow_link.limited_by and slow_link.rollout_h == pytest.approx(100 * 80 / 1 / 3600 / 1, rel=0.01)
    assert "side by side" in cost(100, 5, msgspec.structs.replace(FOUND, flash_s=600), Plan()).limited_by


def test_what_breaks_first_is_named() -> None:
    costs = [cost(n, 5, FOUND, Plan()) for n in (10, 100, 10_000)]
    assert breaks_first(costs).startswith("10000 devices keep one broker busier than a core (5.0)")
    assert breaks_first(costs[:2]) == "nothing up to 100 devices"


def test_release_that_fails_everywhere_reaches_the_canary_only() -> None:
    assert reach(100, 1.0, Plan(), 5) == {"devices": 100, "failing_share": 1.0, "mean": 1.0, "most": 1}
    assert reach(100, 0.0, Plan(), 5)["mean"] == 100
    some = reach(100, 0.05, Plan(), 40)
    assert 1 < some["mean"] < 60
    assert reach(100, 0.05, Plan(max_failed_share=0.5), 40)["mean"] > some["mean"]


def test_bytes_on_the_wire_are_those_of_the_result(tmp_path: Path) -> None:
    if shutil.which("mosquitto") is None:
        pytest.skip("Mosquitto is not installed; run: make system")
    up, down = wire_bytes(tmp_path, 20)
    assert 150 < up < 600  # one JSON record, its topic, and five bytes of header
    assert 2 <= down < 20  # an acknowledgement


@pytest.mark.parametrize("most", [FEWEST, 4 * FEWEST, 5 * FEWEST])
def test_stations_are_doubled_as_long_as_the_machine_keeps_up(most: int) -> None:
    def machine(devices: int) -> dict[str, float]:
        return {"devices": devices, "results_per_second": 5.0 * min(devices, most), "broker_processor_share": 0.1}

    found = carried(machine)
    assert all(row["kept_up"] for row in found[:-1]) and not found[-1]["kept_up"]
    assert [row["devices"] for row in found] == [FEWEST * 2**n for n in range(len(found))]
    assert found[-2]["devices"] <= most < found[-1]["devices"]


def test_limit_of_the_system_ends_the_doubling_too() -> None:
    def machine(devices: int) -> dict[str, float]:
        if devices > FEWEST:
            raise RuntimeError("can't start new thread")
        return {"devices": devices, "results_per_second": 5.0 * devices}

    assert [(row["devices"], row["kept_up"]) for row in carried(machine)] == [(FEWEST, 1.0), (2 * FEWEST, 0.0)]
    endless = carried(lambda devices: {"devices": devices, "results_per_second": 5.0 * devices})
    assert endless[-1]["devices"] <= MOST and endless[-1]["kept_up"]


def test_flash_is_timed_by_the_real_command(tmp_path: Path) -> None:
    assert flash_seconds(tiny.write(tmp_path / "part.edgetl")) > 0
