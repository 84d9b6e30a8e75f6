"""What keeping results costs, and how fast a backlog drains: `python -m edgetl.benchmarks.store_and_forward [RESULTS] [FOLDER]`.

Commits and bare fsyncs take turns, as do verdicts with and without outputs, so that a noisy machine hurts all alike.
The backlog (RESULTS: 18,000, an hour of five parts a second) goes to a real Mosquitto on loopback, which is started
only when all of it waits; a subscriber counts what arrives. FOLDER is on the disk to be measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.ports import free_port
from edgetl.errors import MissingPartError
from edgetl.exits import ended
from edgetl.runtime.outputs.config import Csv, Mqtt, OutputConfig, Sqlite
from edgetl.runtime.outputs.sink import Outputs, open_outputs
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.spool import Spool
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.verdict import Verdict

COMMITS, SHOWS, ROUNDS = 200, 500, 5
RESULTS = 18_000
STATION = "bench"
_FRAME = Frame(0, "none", None, 0.0, 0.0)
_VERDICT = Verdict(sequence=1, verdict="OK", label="good", score=0.98765, source="/dev/video0", frame=1, part=1, time_s=1.5,
                   latency_ms=6.25, device=STATION, time="2026-01-02T03:04:05.678Z", synced=True)  # fmt: skip


def commits(folder: Path) -> dict[str, float]:
    """Results that are on disk one by one, and bare fsyncs of 4 KB beside them, a second."""
    spool = Spool(SpoolConfig(folder=str(folder / "commits")), STATION, ("nobody",))
    payload, spent, bare = msgspec.json.encode(_VERDICT), 0.0, 0.0
    with (folder / "bare").open("wb", buffering=0) as file:
        for _ in range(COMMITS):
            start = time.perf_counter()
            spool.append(spool.next_sequence(), "OK", payload)
            assert spool.flush(60)
            middle = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            spent, bare = spent + middle - start, bare + time.perf_counter() - middle
    spool.close()
    return {"commits_per_second": COMMITS / spent, "bare_fsyncs_per_second": COMMITS / bare}


def show_cost(folder: Path) -> dict[str, float]:
    """Microseconds of the judging thread that a verdict takes with a spool and two outputs at work."""
    files: tuple[OutputConfig, ...] = (Csv(folder=str(folder / "csv")), Sqlite(file=str(folder / "results.db")))
    outputs = open_outputs(files, SpoolConfig(folder=str(folder / "show")), STATION, StatusBoard())
    nothing = Outputs(None, (), ())
    times: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(ROUNDS):
        for name, sink in (("with", outputs), ("without", nothing)):
            times[name] += _shown(sink)
    outputs.close()
    cost = {
        f"{name}_{p}_us": float(np.percentile(values, q))
        for name, values in times.items()
        for p, q in (("p50", 50), ("p90", 90), ("p99", 99))
    }
    return cost


def _shown(sink: Outputs) -> list[float]:
    times = []
    for number in range(SHOWS):
        sequence = number if sink.next_sequence is None else sink.next_sequence()
        verdict = msgspec.structs.replace(_VERDICT, sequence=sequence)
        start = time.perf_counter()
        sink.show(_FRAME, verdict)
        times.append((time.perf_counter() - start) * 1e6)
        time.sleep(0.002)
    return times


def backlog(folder: Path, results: int) -> dict[str, float]:
    """Results said while no broker is there, and how they arrive when one is."""
    port = free_port()
    outputs = open_outputs(
        (Mqtt(address=f"mqtt://127.0.0.1:{port}"),), SpoolConfig(folder=str(folder / "backlog")), STATION, StatusBoard()
    )
    start = time.perf_counter()
    given = [_say(outputs) for _ in range(results)]
    said = time.perf_counter() - start
    (spool, mqtt) = outputs.members
    until(lambda: spool.health().waiting == 0, "the backlog is not on disk")  # type: ignore[attr-defined]
    stored = time.perf_counter() - start
    with broker(folder, port), _subscriber(port) as got:
        busy = _processor_s()
        until(lambda: bool(got), "the output did not find the broker")
        start = time.perf_counter()
        until(lambda: mqtt.health().ok and mqtt.health().waiting == 0, "the backlog did not drain")  # type: ignore[attr-defined]
        drained, busy = time.perf_counter() - start, _processor_s() - busy
        until(lambda: len(set(got)) == results, "results are missing")
        outputs.close()
        return {"results": results, "say_s": said, "store_s": stored, "drain_s": drained, "drained_per_second": results / drained,
                "drain_processor_s": busy, "lost": len(set(given) - set(got)), "repeated": len(got) - len(set(got)),
                "in_order": float(list(dict.fromkeys(got)) == given)}  # fmt: skip


def _say(outputs: Outputs) -> int:
    assert outputs.next_sequence is not None
    verdict = msgspec.structs.replace(_VERDICT, sequence=outputs.next_sequence())
    outputs.show(_FRAME, verdict)
    return verdict.sequence


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def until(what: Any, otherwise: str, limit_s: float = 300.0) -> None:
    """Waits until `what` is true. Raises TimeoutError."""
    end = time.monotonic() + limit_s
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        time.sleep(0.01)


@contextlib.contextmanager
def broker(folder: Path, port: int) -> Iterator[int]:
    """A Mosquitto on loopback that takes connections; gives its process id. Raises TimeoutError."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise MissingPartError("the benchmark needs the broker Mosquitto; install the package mosquitto")
    settings = folder / "mosquitto.conf"
    # Without a bound, since the subscriber shares the processor with the output and must not make the broker drop.
    settings.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = subprocess.Popen([program, "-c", settings], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), "the broker did not start")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def _subscriber(port: int) -> Iterator[list[int]]:
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    got: list[int] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.on_connect = lambda c, *_: c.subscribe(f"edgetl/{STATION}/result", qos=1)
    client.on_message = lambda c, u, m: got.append(json.loads(m.payload)["sequence"])

    def connected() -> bool:
        with contextlib.suppress(OSError):
            client.connect("127.0.0.1", port)
            return True
        return False

    until(connected, "the broker did not start")
    client.loop_start()
    try:
        yield got
    finally:
        client.disconnect()
        client.loop_stop()


@click.command()
@click.argument("results", default=RESULTS, type=click.IntRange(min=1))
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(results: int, folder: Path | None) -> None:
    """Prints one JSON line."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        place = Path(made)
        report = {
            "machine": machine(),
            "commits": commits(place),
            "show": show_cost(place),
            "backlog": backlog(place, results),
        }
    click.echo(json.dumps(report))


if __name__ == "__main__":
    sys.exit(ended(main))
