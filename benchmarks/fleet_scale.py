"""What 10, 100 and 10,000 devices cost in bandwidth, broker load, disk and rollout time:
`python -m edgetl.benchmarks.fleet_scale BUNDLE [--flash FILE.json] [--rate RESULTS_PER_SECOND]`.

Bytes on the wire are counted by a relay between a real station and a real Mosquitto. The number of stations is doubled as long
as this machine, which runs them and the broker, keeps up; the broker's processor time is that of the most that did. What a fleet
costs is computed from both. How far a bad release gets is simulated with the planner that rolls releases out. `--flash` is what
`python -m edgetl.benchmarks.flash_time` wrote for a device; without it a flash onto a device root on this machine is timed.
"""

from __future__ import annotations

import contextlib
import json
import platform
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from edgetl.benchmarks.broker_load import RATE, Station, load
from edgetl.benchmarks.flash_time import seconds
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.ports import free_port
from edgetl.benchmarks.store_and_forward import broker
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.flasher.fleet.rollout import SIDE_BY_SIDE, roll_out
from edgetl.flasher.fleet.waves import Plan, waves
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.spool.config import SpoolConfig

FLEETS = (10, 100, 10_000)
FEWEST, MOST = 100, 6400  # stations to begin with, and where to end even if this machine could go on
KEPT_UP = 0.95  # of the results that were due
FLASHES = 3
RESULTS = 200  # of which the bytes are counted
DRAWS = 200  # rollouts simulated for each kind of release
SITE = 100  # devices behind one uplink
UPLINK_MBIT = 100.0
DAY_S = 86_400.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on this machine: application bytes of one result to the broker and back (its acknowledgement), the
    broker's processor seconds a result, and the release's bytes and flash time."""

    result_bytes: float
    answer_bytes: float
    broker_s: float
    bundle_bytes: int
    flash_s: float


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet costs at a steady rate of results."""

    devices: int
    results_per_second: float
    to_broker_kbit_s: float
    broker_cores: float
    kept_gb_a_year: float
    spool_lasts_h: float
    upload_gb: float
    rollout_h: float
    limited_by: str


def cost(devices: int, rate: float, found: Measured, plan: Plan) -> Cost:
    """The fleet's cost when each device gives `rate` results a second."""
    results = devices * rate
    flashing_s = sum(-(-len(wave) // SIDE_BY_SIDE) for wave in waves([""] * devices, plan)) * found.flash_s
    sites = -(-devices // SITE)
    link_s = devices * found.bundle_bytes * 8 / (UPLINK_MBIT * 1e6) / sites
    return Cost(
        devices=devices,
        results_per_second=results,
        to_broker_kbit_s=round(results * found.result_bytes * 8 / 1e3, 1),
        broker_cores=round(results * found.broker_s, 3),
        kept_gb_a_year=round(results * found.result_bytes * DAY_S * 365 / 1e9, 1),
        spool_lasts_h=round(SpoolConfig(folder="/").max_bytes / (rate * found.result_bytes) / 3600, 1),
        upload_gb=round(devices * found.bundle_bytes / 1e9, 2),
        rollout_h=round(max(flashing_s, link_s) / 3600, 3),
        limited_by="the uplink of a site" if link_s > flashing_s else f"{SIDE_BY_SIDE} devices flashed side by side",
    )


def reach(devices: int, failing_share: float, plan: Plan, draws: int = DRAWS) -> dict[str, float]:
    """How many devices a release touches that fails on a share of them, before the planner stops it: mean and most."""
    generator = random.Random(0)
    touched = []
    hosts = [str(number) for number in range(devices)]
    for _ in range(draws):
        failing = {host for host in hosts if generator.random() < failing_share}

        def flash(host: str, failing: set[str] = failing) -> bool:
            if host in failing:
                raise EdgetlError("failed its trial and went back")
            return True

        result = roll_out(hosts, flash, plan, lambda _: None)
        touched.append(sum(state.state != "not tried" for state in result.results))
    return {"devices": devices, "failing_share": failing_share, "mean": sum(touched) / draws, "most": max(touched)}


class _Relay:
    """Passes one connection on to a broker and counts the bytes of each direction."""

    def __init__(self, port: int) -> None:
        self.bytes = [0, 0]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(port,), daemon=True).start()

    def _serve(self, port: int) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for direction, (source, target) in enumerate(((near, far), (far, near))):
            threading.Thread(target=self._pump, args=(direction, source, target), daemon=True).start()

    def _pump(self, direction: int, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other direction has closed both
            while data := source.recv(65536):
                self.bytes[direction] += len(data)
                target.sendall(data)
        source.close()
        target.close()


def wire_bytes(folder: Path, results: int = RESULTS) -> tuple[float, float]:
    """Bytes of one result to the broker, and of what comes back for it, without TCP's and IP's headers."""
    port = free_port()
    with broker(folder, port):
        relay = _Relay(port)
        station = Station(0, relay.port)
        before = tuple(relay.bytes)
        station.send(time.monotonic() - 1e6, results / 5.0)  # long due: one after the other without a pause
        sent = tuple(relay.bytes)
        station.delivery.leave()
    return (sent[0] - before[0]) / results, (sent[1] - before[1]) / results


def carried(measure: Callable[[int], dict[str, float]]) -> list[dict[str, Any]]:
    """Loads of twice as many stations each time, until one no longer gets its results through in time, or cannot even be set
    up; that one is the last, with `kept_up` 0."""
    found: list[dict[str, Any]] = []
    devices = FEWEST
    while devices <= MOST:
        try:
            row: dict[str, Any] = dict(measure(devices))
        except (OSError, RuntimeError, EdgetlError) as error:  # no more descriptors, threads or answers
            return [*found, {"devices": devices, "kept_up": 0.0, "ended_by": str(error)}]
        row["kept_up"] = float(row["results_per_second"] >= KEPT_UP * devices * RATE)
        found.append(row)
        if not row["kept_up"]:
            return found
        devices *= 2
    return found


def flash_seconds(bundle: Path) -> float:
    """The median of some flashes onto fresh device roots on this machine, by the real command; no service runs there, so a
    trial takes no time."""
    took = []
    for _ in range(FLASHES):
        with tempfile.TemporaryDirectory() as folder:
            root = DeviceRoot(Path(folder) / "device")
            root.prepare()
            settings = {"architecture": platform.machine(), "flashing": {"signatures": "off", "spare_mb": 0}}
            root.config.write_text(json.dumps(settings))
            took.append(seconds(bundle, ["--to", f"local:{root.path}"]))
    return statistics.median(took)


def breaks_first(costs: Sequence[Cost]) -> str:
    """Where the design ends first as the fleet grows, in words."""
    for found in costs:
        if found.broker_cores > 1:
            return (
                f"{found.devices} devices keep one broker busier than a core ({found.broker_cores:.1f}): give each site its own and"
                " bridge them"
            )
        if found.rollout_h > 1:
            return f"a rollout to {found.devices} devices takes {found.rollout_h:.1f} h, limited by {found.limited_by}"
    return f"nothing up to {costs[-1].devices} devices"


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--flash", type=click.Path(path_type=Path, exists=True), default=None, metavar="FILE.json",
    help="What flash_time wrote for such a device.",
)  # fmt: skip
@click.option("--rate", default=1.0, show_default=True, help="Results a second of each device.")
def main(bundle: Path, flash: Path | None, rate: float) -> None:
    """Prints one JSON line."""
    flash_s = flash_seconds(bundle) if flash is None else float(json.loads(flash.read_text())["median_s"])
    with tempfile.TemporaryDirectory() as folder:
        result, answer = wire_bytes(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        loads = carried(lambda devices: load(devices, Path(folder)))
    loaded = [row for row in loads if row["kept_up"]][-1:]
    if not loaded:
        raise click.ClickException(f"this machine does not even carry {FEWEST} stations and a broker")
    found = Measured(
        result_bytes=result, answer_bytes=answer, bundle_bytes=bundle.stat().st_size,
        flash_s=flash_s,
        broker_s=loaded[0]["broker_processor_share"] / loaded[0]["results_per_second"],
    )  # fmt: skip
    plan = Plan()
    costs = [cost(devices, rate, found, plan) for devices in FLEETS]
    tolerant = Plan(max_failed_share=0.02)
    print(json.dumps({
        "machine": machine(), "measured": msgspec.to_builtins(found), "loads": loads,
        "flashed": "a device root on this machine" if flash is None else str(flash), "fleets": msgspec.to_builtins(costs),
        "breaks_first": breaks_first(costs),
        "bad_release": [
            {"max_failed_share": p.max_failed_share, **reach(devices, share, p, 20 if devices > 1000 else DRAWS)}
            for p in (plan, tolerant) for devices in FLEETS for share in (1.0, 0.05, 0.005)
        ],
    }))  # fmt: skip


if __name__ == "__main__":
    sys.exit(ended(main))
