"""What a fleet asks of one broker: `python -m edgetl.benchmarks.broker_load [DEVICES ...]`.

Each of DEVICES (20, 50 and 100) stations sends five results a second, in a thread of one process, to a real Mosquitto on
loopback that one subscriber reads; times are from handing a result over to the broker's acknowledgement. The
stations, the subscriber and the broker share this machine, so that the times are upper bounds.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import msgspec
import numpy as np

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.ports import free_port
from edgetl.benchmarks.store_and_forward import broker, until
from edgetl.exits import ended
from edgetl.runtime.outputs.config import Mqtt
from edgetl.runtime.outputs.mqtt import MqttDelivery
from edgetl.runtime.spool.rows import Row
from edgetl.runtime.status import LineStatus
from edgetl.runtime.verdict import Verdict

FLEETS = (20, 50, 100)
RATE, SECONDS = 5.0, 10.0
_VERDICT = Verdict(sequence=1, verdict="OK", label="good", score=0.98765, source="/dev/video0", frame=1, part=1, time_s=1.5,
                   latency_ms=6.25, device="bench", time="2026-01-02T03:04:05.678Z", synced=True)  # fmt: skip


class Station:
    """One station: connects, then sends at a steady rate and notes how long each acknowledgement took."""

    def __init__(self, number: int, port: int) -> None:
        self.delivery = MqttDelivery(Mqtt(address=f"mqtt://127.0.0.1:{port}"), f"station-{number}", LineStatus)
        self.delivery.open()
        self.took_ms: list[float] = []
        self._phase = number * 0.618 % 1.0 / RATE  # stations do not beat in time

    def send(self, start: float, seconds: float) -> None:
        """Sends from `start` (monotonic clock) on."""
        for sequence in range(1, int(seconds * RATE) + 1):
            due = start + self._phase + sequence / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            verdict = msgspec.structs.replace(_VERDICT, sequence=sequence)
            before = time.perf_counter()
            self.delivery.deliver([Row(sequence, sequence, "OK", msgspec.json.encode(verdict))])
            self.took_ms.append((time.perf_counter() - before) * 1000)


def load(devices: int, folder: Path, seconds: float = SECONDS) -> dict[str, float]:
    """What `devices` stations ask of a broker, and how it answers."""
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    port = free_port()
    got: list[bytes] = []
    with broker(folder, port) as process:
        reader = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        reader.on_connect = lambda client, *_: client.subscribe("edgetl/+/result", qos=1)
        reader.on_message = lambda client, data, message: got.append(bytes(message.payload))
        until(lambda: _connects(reader, port), "the broker did not start")
        reader.loop_start()
        stations = [Station(number, port) for number in range(devices)]
        busy, start = _processor_s(process), time.monotonic()
        threads = [threading.Thread(target=station.send, args=(start, seconds)) for station in stations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, busy = time.monotonic() - start, _processor_s(process) - busy
        sent = sum(len(station.took_ms) for station in stations)
        until(lambda: len(got) >= sent, "results are missing")
        for station in stations:
            station.delivery.leave()
        reader.disconnect()
        reader.loop_stop()
    times = np.array([ms for station in stations for ms in station.took_ms])
    return {"devices": devices, "results_per_second": sent / took, "acknowledged_p50_ms": float(np.percentile(times, 50)),
            "acknowledged_p90_ms": float(np.percentile(times, 90)), "broker_processor_share": busy / took}  # fmt: skip


def _connects(client: object, port: int) -> bool:
    try:
        client.connect("127.0.0.1", port)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True


def _processor_s(process: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@click.command()
@click.argument("devices", nargs=-1, type=click.IntRange(min=1))
def main(devices: tuple[int, ...]) -> None:
    """Prints one JSON line."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [load(stations, Path(folder)) for stations in devices or FLEETS]
    click.echo(json.dumps({"machine": machine(), "fleets": rows}))


if __name__ == "__main__":
    sys.exit(ended(main))
