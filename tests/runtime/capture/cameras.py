"""Cameras as programs that tests can start, stop and kill, and ways to wait for what a source gives."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from edgetl.benchmarks import rtsp_camera
from edgetl.benchmarks.ports import free_port
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.sources import Frame

PATIENCE_S = 30.0  # for a busy machine; what is asked for comes in a fraction of it


def started(*command: object) -> tuple[subprocess.Popen[str], float]:
    """A camera's program, once it is ready, and when that was on the monotonic clock."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    word, _, at = process.stdout.readline().partition(" ")
    assert word == "ready", command
    return process, float(at)


def mjpeg(port: int, fps: float = 25) -> tuple[subprocess.Popen[str], float]:
    """Starts the MJPEG camera."""
    return started(sys.executable, "-m", "edgetl.benchmarks.mjpeg_camera", port, fps)


def rtsp(port: int) -> tuple[subprocess.Popen[str], float]:
    """Starts the RTSP camera; skips where its parts are missing."""
    if not rtsp_camera.is_possible():
        pytest.skip(rtsp_camera.MISSING)
    return started(rtsp_camera.PYTHON, rtsp_camera.__file__, port)


def end(process: subprocess.Popen[str]) -> None:
    """Kills a program, stopped or not."""
    process.kill()
    process.wait(PATIENCE_S)
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def running(start: Callable[[int], tuple[subprocess.Popen[str], float]]) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A camera's program for a while; its port and itself."""
    port = free_port()
    process, _ = start(port)
    try:
        yield port, process
    finally:
        end(process)


def until(camera: Camera, wanted: Callable[[Frame], bool]) -> Frame:
    """Reads until a frame is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    seen: list[str | None] = []
    while time.monotonic() < deadline:
        frame = camera.read()
        assert frame is not None
        if wanted(frame):
            return frame
        seen.append(frame.fault)
    raise AssertionError(f"in vain; the last faults: {[f for f in seen if f][-3:]}, frames: {len(seen)}")


def good(frame: Frame) -> bool:
    """A frame with a picture."""
    return frame.image is not None


def fault(frame: Frame) -> bool:
    """A frame that says that there is none."""
    return frame.fault is not None
