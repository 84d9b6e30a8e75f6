"""How soon a camera is back after it returned: `python -m edgetl.benchmarks.reconnect`.

An MJPEG camera, and then an RTSP camera where the parts for one are installed, is killed and started again; the time runs
from when it listens to its first frame in the loop's process. The pauses between tries have grown to their full length each
time. An RTSP camera has to start its encoder first, as a real one does.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from edgetl.benchmarks import rtsp_camera
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.ports import free_port
from edgetl.exits import ended
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig

ROUNDS = 10
AWAY_S = 3.0


def _started(command: list[str]) -> tuple[subprocess.Popen[str], float]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, float(process.stdout.readline().split()[1])


def _next_picture_s(camera: Camera) -> float:
    while True:
        frame = camera.read()
        if frame is not None and frame.image is not None:
            return time.monotonic()


def _until_lost(camera: Camera) -> None:
    while (frame := camera.read()) is not None and frame.image is not None:
        pass


def _returns_s(command: list[str], address: str) -> list[float]:
    """The seconds of each return."""
    process, _ = _started(command)
    camera = Camera(address, CameraConfig())
    times = []
    try:
        _next_picture_s(camera)
        for _ in range(ROUNDS):
            process.kill()
            process.wait()
            _until_lost(camera)
            time.sleep(AWAY_S)
            process, ready_s = _started(command)
            times.append(_next_picture_s(camera) - ready_s)
    finally:
        camera.close()
        process.kill()
    return times


def main() -> None:
    """Measures and prints one line of JSON."""
    port = str(free_port())
    mjpeg = [sys.executable, "-m", "edgetl.benchmarks.mjpeg_camera", port, "30", "640x480"]
    found = {"mjpeg": _returns_s(mjpeg, f"http://127.0.0.1:{port}/")}
    if rtsp_camera.is_possible():
        port = str(free_port())
        found["rtsp"] = _returns_s([rtsp_camera.PYTHON, rtsp_camera.__file__, port], f"rtsp://127.0.0.1:{port}/line")
    report = {
        kind: {"back_s": round(statistics.median(times), 3), "longest_s": round(max(times), 3)}
        for kind, times in found.items()
    }
    print(json.dumps({**report, "rounds": ROUNDS, "machine": machine()}))


if __name__ == "__main__":
    sys.exit(ended(main))
