"""The benchmark of the spool runs, and finds nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgetl.benchmarks.broker_load import load
from edgetl.benchmarks.store_and_forward import backlog, commits, show_cost


def test_a_backlog_drains_without_loss(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("needs Mosquitto: make system")
    report = backlog(tmp_path, 200)
    assert (report["results"], report["lost"], report["in_order"]) == (200, 0, 1.0)


def test_a_small_fleet_is_acknowledged(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs edgetl[line]")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("needs Mosquitto: make system")
    report = load(3, tmp_path, seconds=1.0)
    assert report["devices"] == 3 and 0 < report["acknowledged_p50_ms"] <= report["acknowledged_p90_ms"]
    assert 0 < report["results_per_second"] <= 3 * 5.0


@pytest.mark.slow
def test_costs_are_measured(tmp_path: Path) -> None:
    assert commits(tmp_path)["commits_per_second"] > 0
    cost = show_cost(tmp_path)
    assert cost["without_p90_us"] > 0 and 0 < cost["with_p50_us"] <= cost["with_p90_us"] <= cost["with_p99_us"]
