"""When a camera's process is left alone, killed or started, over time that only passes on paper."""

from __future__ import annotations

import pytest

from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.messages import Alive, FromChild, Lost, Opened, Opening, Taken
from edgetl.runtime.capture.supervisor import Supervisor

CONFIG = CameraConfig(open_timeout_s=4, frame_timeout_s=2)
TAKEN = Taken(0, 64, 48, 0.0)


def watching(*heard: FromChild) -> Supervisor:
    """A supervisor that started a child at 0 s and heard these messages at 100 s."""
    supervisor = Supervisor(CONFIG)
    assert supervisor.action(0.0) == "start"
    supervisor.started(0.0)
    for message in heard:
        supervisor.heard(message, 100.0)
    return supervisor


@pytest.mark.fault("C10")
@pytest.mark.parametrize(
    ("last", "patience_s"),
    [(Opening(), 7.0), (Opened(""), 10.0), (TAKEN, 3.0), (Lost("damaged", camera_gone=False), 3.0), (Lost("x"), 5.0), (Alive(), 5.0)],
)  # fmt: skip
def test_silent_child_is_killed_when_what_it_does_should_be_done(last: FromChild, patience_s: float) -> None:
    supervisor = watching(last)
    assert supervisor.action(100.0 + patience_s - 0.01) == "wait"
    assert supervisor.action(100.0 + patience_s) == "kill"


@pytest.mark.fault("C10")
def test_hanging_capture_is_replaced_within_twice_the_frame_time() -> None:
    supervisor = watching(TAKEN)
    now_s = 100.0
    while supervisor.action(now_s) == "wait":
        now_s += 0.01
    supervisor.ended(now_s)
    assert supervisor.action(now_s) == "start"
    assert now_s - 100.0 < 2 * CONFIG.frame_timeout_s


def test_child_that_never_speaks_is_killed_too() -> None:
    supervisor = watching()
    assert supervisor.action(19.0) == "wait"
    assert supervisor.action(20.0) == "kill"


@pytest.mark.fault("C11", "W3")
def test_crashes_are_followed_by_five_restarts_and_then_one_a_minute() -> None:
    supervisor = watching(TAKEN)
    starts, now_s = 0, 100.0
    supervisor.ended(now_s)
    while now_s < 100.0 + 300.0:
        if supervisor.action(now_s) == "start":
            supervisor.started(now_s)
            supervisor.ended(now_s + 0.5)
            starts += 1
        now_s += 1.0
    assert starts == 5 + 4
    assert supervisor.restarts == starts
