"""What the referee sees of the line: its verdicts, its log, what the broker got, and what the process costs."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """What the process held at a time: resident memory in 10^6 bytes, descriptors, threads."""

    at_s: float
    memory_mb: float
    descriptors: int
    threads: int


class Verdicts:
    """Reads the line's own output: how often each part was judged, and how often each verdict was given."""

    def __init__(self, stream: IO[str]) -> None:
        self.parts: Counter[int] = Counter()
        self.kinds: Counter[str] = Counter()
        self.sequences: list[int] = []
        self.latencies_ms: list[float] = []
        self.summary: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for text in stream:
            line = json.loads(text)
            if "summary" in line:
                self.summary = line["summary"]
                continue
            self.kinds[line["verdict"]] += 1
            self.sequences.append(line["sequence"])
            if line["part"] is not None:
                self.parts[line["part"]] += 1
                self.latencies_ms.append(line["latency_ms"])

    def join(self) -> None:
        """Waits for the last line."""
        self._thread.join(30)


class Log:
    """Keeps the lines of a log with the seconds since the start, in memory and in a file."""

    def __init__(self, stream: IO[str], path: Path, start: float) -> None:
        self.lines: list[tuple[float, str]] = []
        self._path = path
        self._start = start
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with self._path.open("w") as file:
            for line in stream:
                at_s = time.monotonic() - self._start
                self.lines.append((at_s, line))
                file.write(f"{at_s:8.1f}  {line}")
                file.flush()

    def count(self, words: tuple[str, ...], since_s: float = 0.0, until_s: float = float("inf")) -> int:
        """Lines of that time that hold one of the words."""
        return sum(since_s <= at_s <= until_s and any(word in line for word in words) for at_s, line in self.lines)


class Subscriber:
    """Somebody who must get every verdict: a session that the broker keeps while one of them is away."""

    def __init__(self, port: int, topic: str) -> None:
        """`topic` is the last part of the topic of results."""
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        self.got: Counter[tuple[str, int]] = Counter()
        self._ending = f"/{topic}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="soak", protocol=mqtt.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_message = self._message
        self._client.reconnect_delay_set(1, 2)
        lasting: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        lasting.SessionExpiryInterval = 24 * 3600
        self._client.connect_async("127.0.0.1", port, 10, clean_start=False, properties=lasting)
        self._client.loop_start()

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        client.subscribe("edgetl/#", qos=1)

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        if message.topic.endswith(self._ending):
            verdict = json.loads(message.payload)
            self.got[(verdict.get("device", ""), verdict["sequence"])] += 1

    def close(self) -> None:
        """Hangs up."""
        self._client.disconnect()
        self._client.loop_stop()


def sample(pid: int, start: float) -> Sample | None:
    """What the process holds now; None once it has ended."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        memory = int(status["VmRSS"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError):
        return None
    return Sample(time.monotonic() - start, round(memory, 2), descriptors, int(status["Threads"]))


def growth_mb(samples: list[Sample]) -> float:
    """Median memory of the last tenth less that of the second tenth: the first one still warms up."""
    tenth = max(1, len(samples) // 10)
    early, late = samples[tenth : 2 * tenth] or samples, samples[-tenth:]
    return round(statistics.median(s.memory_mb for s in late) - statistics.median(s.memory_mb for s in early), 2)
