"""The real command under a service manager's eyes: ready, fed, drained, reloaded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.spool import Spool
from edgetl.runtime.verdict import NOT_JUDGED
from tests.runtime.spool.reading import drain

PATIENCE_S = 60.0


class Service:
    """`edgetl run` as a child of a small service manager."""

    def __init__(self, folder: Path, *args: object) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._listener.bind(str(folder / "notify"))
        self._listener.settimeout(0.2)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "800000"}
        self._out = folder / "out"
        self._err = folder / "err"
        command = [
            sys.executable,
            "-m",
            "edgetl",
            "run",
            *map(str, args),
            "--json",
            "--interpreter",
            "litert",
            "--threads",
            "1",
        ]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        self.told: list[str] = []

    def until(self, word: str, count: int = 1) -> None:
        """Waits until the manager was told something that often."""
        deadline = time.monotonic() + PATIENCE_S
        while self.told.count(word) < count:
            assert time.monotonic() < deadline, (word, self.told, self.errors())
            with contextlib.suppress(TimeoutError):
                self.told += self._listener.recv(4096).decode().split("\n")

    def lines(self) -> list[dict[str, Any]]:
        """What was printed, whole lines only."""
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def errors(self) -> str:
        return self._err.read_text()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._listener.close()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[list[Service]]:
    """Services that are ended, whatever happens."""
    started: list[Service] = []
    yield started
    for service in started:
        service.end()


SIM = "sim:parts=100000,parts_per_minute=600,width=160,height=120"


@pytest.mark.fault("W2")
def test_sigterm_drains_and_ends_well(tiny_bundle: Path, tmp_path: Path, services: list[Service]) -> None:
    service = Service(tmp_path, tiny_bundle, "--source", SIM)
    services.append(service)
    service.until("WATCHDOG=1", 3)
    service.process.send_signal(signal.SIGTERM)
    sent_s = time.monotonic()
    assert service.process.wait(PATIENCE_S) == 0
    assert time.monotonic() - sent_s < 5.0
    service.until("STOPPING=1")
    *verdicts, last = service.lines()
    assert last["summary"]["judged"] == len(verdicts) > 0
    assert [v["sequence"] for v in verdicts] == list(range(1, len(verdicts) + 1))
    assert "Traceback" not in service.errors()


@pytest.mark.fault("W2")
def test_sigterm_leaves_every_result_in_the_spool_of_a_receiver_that_is_away(
    tiny_bundle: Path, tmp_path: Path, services: list[Service]
) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(
        f"source: '{SIM}'\nname: press-3\nspool: {{folder: {tmp_path / 'spool'}}}\n"
        f"outputs:\n- {{type: webhook, address: 'http://127.0.0.1:{free_port()}/'}}\n"
    )
    service = Service(tmp_path, tiny_bundle, "--config", config)
    services.append(service)
    service.until("WATCHDOG=1", 4)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE_S) == 0
    *verdicts, _ = service.lines()
    spool = Spool(SpoolConfig(folder=str(tmp_path / "spool")), "press-3", ("webhook",))
    waiting = drain(spool, "webhook")
    spool.close(10)
    assert [m["sequence"] for m in waiting] == [v["sequence"] for v in verdicts]
    assert [m["verdict"] for m in waiting] == [v["verdict"] for v in verdicts]
    assert len(verdicts) > 3


def test_sighup_takes_a_good_file_over_and_leaves_a_bad_one(
    tiny_bundle: Path, tmp_path: Path, services: list[Service]
) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(f"source: '{SIM}'\nmin_score: 0.0\n")
    service = Service(tmp_path, tiny_bundle, "--config", config)
    services.append(service)
    service.until("WATCHDOG=1", 2)
    config.write_text("min_score: 7\n")
    service.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while "stays as it was" not in service.errors():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "line.yaml:1: min_score" in service.errors()
    fed = service.told.count("WATCHDOG=1")
    service.until("WATCHDOG=1", fed + 2)
    assert "READY=1" in service.told and service.told.count("READY=1") == 1
    config.write_text(f"source: '{SIM}'\nmin_score: 1.0\n")
    service.process.send_signal(signal.SIGHUP)
    service.until("RELOADING=1")
    service.until("READY=1", 2)
    fed = service.told.count("WATCHDOG=1")
    service.until("WATCHDOG=1", fed + 2)
    assert service.process.poll() is None
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE_S) == 0
    lines = service.lines()
    border = next(i for i, line in enumerate(lines) if "summary" in line)
    before, after = (
        [v for v in found if v["reason"] != NOT_JUDGED] for found in (lines[:border], lines[border + 1 : -1])
    )
    assert before and all(v["verdict"] != "UNKNOWN" for v in before)
    assert {v["verdict"] for v in after} == {"UNKNOWN"}


def counted(port: int) -> dict[str, Any]:
    """The line's status as its page gives it."""
    with urlopen(f"http://127.0.0.1:{port}/api/status", timeout=10) as answer:
        status: dict[str, Any] = json.load(answer)["status"]
    return status


def test_settings_changed_on_the_way_take_no_part_from_the_count(
    tiny_bundle: Path, tmp_path: Path, services: list[Service]
) -> None:
    port = free_port()
    config = tmp_path / "line.yaml"
    config.write_text(f"source: '{SIM}'\nmin_score: 0.0\npage: {{port: {port}}}\n")
    service = Service(tmp_path, tiny_bundle, "--config", config)
    services.append(service)
    service.until("WATCHDOG=1", 4)
    before = counted(port)
    assert before["judged"] > 0 and before["verdicts"]["UNKNOWN"] == 0
    config.write_text(config.read_text().replace("min_score: 0.0", "min_score: 1.0"))
    service.process.send_signal(signal.SIGHUP)
    service.until("READY=1", 2)
    fed = service.told.count("WATCHDOG=1")
    service.until("WATCHDOG=1", fed + 2)
    after = counted(port)
    assert after["verdicts"]["OK"] + after["verdicts"]["NG"] >= before["judged"]
    assert after["verdicts"]["UNKNOWN"] > 0
    assert after["uptime_s"] > before["uptime_s"]


@pytest.mark.fault("W4")
@pytest.mark.parametrize("limit", range(5, 12))
def test_without_descriptors_left_there_is_a_reason_and_no_silent_end(tiny_bundle: Path, limit: int) -> None:
    """A camera's process needs a handful; wherever the limit strikes, it is told in one line."""
    command = f"ulimit -n {limit}; exec {sys.executable} -m edgetl run {tiny_bundle} --source http://127.0.0.1:9/x"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1, done.stdout
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("edgetl: E_")]
    assert "E_LIMIT" in told or "Too many open files" in told or (limit > 8 and "does not answer" in told)
    assert "Traceback" not in done.stderr
