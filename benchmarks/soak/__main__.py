"""Runs the soak and prints a table and one line of JSON; exit code 1 when anything of what is promised did not hold."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.soak.watching import Log, Sample, Subscriber, Verdicts, growth_mb, sample
from edgetl.benchmarks.soak.world import Broker, Disk, Fault, misfortunes, ways_to_break
from edgetl.exits import ended
from edgetl.runtime.sim.outages import Outages

MAX_GROWTH_MB = 5.0
DEVICE = "soak"
OUTAGES_PER_MINUTE = 3.0
# What the line's log must say of each kind of fault, and how long after its end at the latest.
TOLD_BY = {
    "broker stopped": ("connection refused", "closed the connection"),
    "broker silent": ("no acknowledgement", "no answer"),
    "disk full": ("the disk is full",),
    "camera away": ("no frames",),
}
TOLD_WITHIN_S = 20.0


def line_file(folder: Path, broker: Broker, disk: Path, seed: int) -> Path:
    """The line's configuration: a fast belt, a broker, a CSV file and a spool on the small disk."""
    path = folder / "line.yaml"
    path.write_text(f"""\
name: {DEVICE}
source: sim:parts_per_minute=120,fps=30,outages_per_minute={OUTAGES_PER_MINUTE:g},seed={seed}
outputs:
  - {{type: mqtt, address: "mqtt://127.0.0.1:{broker.port}"}}
  - {{type: csv, folder: {disk}/csv, max_bytes: 65536, keep: 3}}
spool: {{folder: {disk}/spool, max_bytes: 262144}}
""")
    return path


def camera_outages(seed: int, seconds: float) -> int:
    """How often the simulated camera was away in a run of that length: the same seed gives the same outages."""
    outages, count, was = Outages(seed, OUTAGES_PER_MINUTE), 0, False
    for frame in range(int(seconds * 30)):
        away = outages.away(frame / 30)
        count += away and not was
        was = away
    return count


def never_happened(counts: Mapping[str, int]) -> list[str]:
    """The kinds of fault that a soak is about and that did not come: without them it shows nothing about them."""
    return [kind for kind in TOLD_BY if not counts.get(kind)]


class Soak:
    """One soak: the line as a user starts it, and the world around it."""

    def __init__(self, bundle: Path, minutes: float, seed: int, folder: Path, log: Path) -> None:
        self._seconds, self.seed = minutes * 60.0, seed
        self.broker = Broker(folder)
        self.disk = Disk(folder / "card") if os.geteuid() == 0 else None
        if self.disk is None:
            (folder / "card").mkdir()
        config = line_file(folder, self.broker, folder / "card", seed)
        self.subscriber = Subscriber(self.broker.port, "result")
        self._start = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgetl", "run", str(bundle), "--config", str(config), "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None and self._process.stderr is not None
        self.verdicts = Verdicts(self._process.stdout)
        self.log = Log(self._process.stderr, log, self._start)
        self.faults: list[Fault] = []
        self.samples: list[Sample] = []

    def _is_over(self) -> bool:
        return self._process.poll() is not None

    def _break(self) -> None:
        ways = ways_to_break(self.broker, self.disk)
        for fault in misfortunes(ways, self.seed, self._seconds, self._is_over):
            self.faults.append(fault)
            click.echo(f"{fault.at_s:8.1f} s  {fault.kind} for {fault.seconds} s", err=True)

    def run(self) -> int:
        """Lets it run, ends it as systemd would, and waits for what is still on its way. Returns the exit code."""
        breaker = threading.Thread(target=self._break, daemon=True)
        breaker.start()
        while time.monotonic() - self._start < self._seconds and not self._is_over():
            if (now := sample(self._process.pid, self._start)) is not None:
                self.samples.append(now)
            time.sleep(1.0)
        breaker.join(60)
        self.seconds = time.monotonic() - self._start
        if not self._is_over():
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self.verdicts.join()
        time.sleep(3.0)  # the broker hands the last results to the subscriber
        self.subscriber.close()
        code = self._process.poll()
        return -1 if code is None else code

    def close(self) -> None:
        """Takes the world down."""
        if not self._is_over():
            self._process.kill()
        self.broker.thaw()
        self.broker.stop()
        if self.disk is not None:
            self.disk.close()


def judged(soak: Soak, code: int) -> dict[str, Any]:
    """What came of it, and whether each promise was kept."""
    seen, summary = soak.verdicts, soak.verdicts.summary
    line = summary.get("line", {})
    wanted = {(DEVICE, number) for number in seen.sequences}
    kinds = Counter(fault.kind for fault in soak.faults)
    told = Counter(
        fault.kind for fault in soak.faults
        if soak.log.count(TOLD_BY[fault.kind], fault.at_s, fault.at_s + fault.seconds + TOLD_WITHIN_S)
    )  # fmt: skip
    kinds["camera away"] = camera_outages(soak.seed, summary.get("frames", 0) / 30)
    told["camera away"] = soak.log.count(TOLD_BY["camera away"])
    memory = growth_mb(soak.samples)
    early = soak.samples[len(soak.samples) // 10]
    descriptors = [early.descriptors, soak.samples[-1].descriptors]
    tenth = max(1, len(seen.latencies_ms) // 10)
    promises = {
        "ends with exit code 0": code == 0,
        "each part exactly one verdict": bool(seen.parts) and set(seen.parts.values()) == {1}
        and sorted(seen.parts) == list(range(1, len(seen.parts) + 1)) and line.get("twice", 1) == 0,
        "no part missed (but the one cut off at the end)": line.get("missed", 99) <= 1,
        "sequence without a gap": seen.sequences == list(range(1, len(seen.sequences) + 1)),
        "every result at the subscriber": wanted <= set(soak.subscriber.got),
        f"memory grows by less than {MAX_GROWTH_MB:g} MB": memory < MAX_GROWTH_MB,
        "no more descriptors at the end": descriptors[1] <= descriptors[0] + 2,
        "every kind of fault happened": not never_happened(kinds),
        "every fault in the log": all(told[kind] >= count for kind, count in kinds.items()),
        "no traceback": not soak.log.count(("Traceback",)),
    }  # fmt: skip
    return {
        "seconds": round(soak.seconds, 1), "frames": summary.get("frames"), "parts": len(seen.parts),
        "verdicts": dict(seen.kinds), "dropped_parts": summary.get("dropped_parts"), "line": line,
        "results_at_subscriber": len(soak.subscriber.got), "results_lost": len(wanted - set(soak.subscriber.got)),
        "results_repeated": sum(soak.subscriber.got.values()) - len(soak.subscriber.got),
        "faults": dict(kinds), "never_happened": never_happened(kinds), "faults_in_log": dict(told),
        "memory_growth_mb": memory, "memory_mb": [early.memory_mb, soak.samples[-1].memory_mb],
        "descriptors": descriptors, "threads": [early.threads, soak.samples[-1].threads],
        "latency_p50_ms_first_and_last_tenth": [
            round(statistics.median(part), 2) for part in (seen.latencies_ms[:tenth], seen.latencies_ms[-tenth:])
        ],
        "latency_ms": summary.get("latency_ms"), "exit_code": code, "promises": promises,
        "disk_faults": soak.disk is not None, "machine": machine(),
    }  # fmt: skip


def print_table(report: dict[str, Any]) -> None:
    """For people, on stderr."""
    click.echo(f"\n{'fault':<18}{'times':>6}{'in the log':>12}", err=True)
    for kind, count in report["faults"].items():
        click.echo(f"{kind:<18}{count:>6}{report['faults_in_log'].get(kind, 0):>12}", err=True)
    for kind in report["never_happened"]:
        click.echo(f"{kind:<18}{'never':>6}", err=True)
    for promise, kept in report["promises"].items():
        click.echo(f"{'kept  ' if kept else 'BROKEN'}  {promise}", err=True)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--minutes", type=click.FloatRange(0.5), default=60.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--log", type=click.Path(path_type=Path), default=Path("soak.log"), show_default=True)
def main(bundle: Path, minutes: float, seed: int, log: Path) -> None:
    """Soak the line of BUNDLE. Needs root for the disk that fails: without it that promise is reported as broken."""
    if os.geteuid() != 0:
        click.echo("without root there is no disk to fail; this soak cannot pass", err=True)
    with tempfile.TemporaryDirectory(prefix="edgetl-soak-") as name:
        soak = Soak(bundle.resolve(), minutes, seed, Path(name), log)
        try:
            report = judged(soak, soak.run())
        finally:
            soak.close()
    print_table(report)
    click.echo(json.dumps(report))
    sys.exit(0 if all(report["promises"].values()) else 1)


if __name__ == "__main__":
    sys.exit(ended(main))
