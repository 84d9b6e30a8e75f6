"""The watchdog is fed by frames that went through the loop, and by nothing else."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetl.runtime.service.heartbeat import Heartbeat
from edgetl.runtime.service.notify import Notifier
from edgetl.runtime.sources import Frame
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.verdict import Verdict
from tests.runtime.service.hanging import PATIENCE_S, running


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[dict[str, str], socket.socket]]:
    """A service manager's side: the environment that it gives a service, and the socket that it listens on."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(0.3)
        yield {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}, listener


def heard(listener: socket.socket) -> list[str]:
    """What the manager was told since the last look, and in the next tenths of a second."""
    said: list[str] = []
    until_s = time.monotonic() + 0.4
    listener.settimeout(0.05)
    while time.monotonic() < until_s:
        with contextlib.suppress(TimeoutError):
            said += listener.recv(4096).decode().split("\n")
    return said


VERDICT = Verdict(sequence=1, verdict="OK", label="green", score=1.0, source="s", frame=0, time_s=0.0, latency_ms=1.0)
FRAME = Frame(0, "s", None, 0.0, 0.0)


def test_ready_comes_with_the_first_frame_and_food_at_a_quarter_of_the_limit(
    manager: tuple[dict[str, str], socket.socket],
) -> None:
    environment, listener = manager
    now = [100.0]
    beat = Heartbeat(Notifier(environment), StatusBoard(), clock=lambda: now[0])
    assert heard(listener) == []
    for _ in range(41):
        beat.show(FRAME, VERDICT)
        now[0] += 0.01
    said = heard(listener)
    assert said.count("READY=1") == 1 and said[:2] == ["READY=1", "WATCHDOG_USEC=400000"]
    assert said.count("WATCHDOG=1") == 5  # at 0, 0.1, 0.2, 0.3 and 0.4 s
    assert "STATUS=1 OK; last OK" in said


@pytest.mark.fault("T3")
def test_status_says_that_the_processor_is_throttled(manager: tuple[dict[str, str], socket.socket]) -> None:
    environment, listener = manager
    board = StatusBoard()
    board.tell(throttled="under-voltage, throttled")
    Heartbeat(Notifier(environment), board).show(FRAME, VERDICT)
    assert "STATUS=1 OK; last OK; throttled: under-voltage, throttled" in heard(listener)


def test_without_a_manager_nothing_is_said_and_nothing_breaks(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000"}):
        Heartbeat(Notifier(environment), StatusBoard()).show(FRAME, VERDICT)
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_s == 0.0  # meant for another process


@pytest.mark.fault("W1")
def test_loop_that_is_stuck_in_its_model_feeds_the_watchdog_no_more(
    manager: tuple[dict[str, str], socket.socket],
) -> None:
    environment, listener = manager
    board = StatusBoard()
    with running([Heartbeat(Notifier(environment), board)], board) as model:
        said: list[str] = []
        deadline = time.monotonic() + PATIENCE_S
        while said.count("WATCHDOG=1") < 3 and time.monotonic() < deadline:
            said += heard(listener)
        assert said.count("WATCHDOG=1") >= 3 and "READY=1" in said
        model.go.clear()
        heard(listener)
        time.sleep(0.5)  # more than the limit: the camera goes on all that time, on threads of its own
        heard(listener)  # what was on its way
        time.sleep(1.0)
        assert heard(listener) == []
