"""A V4L2 camera of a real kernel: its colours, and what a line does when it is pulled out, taken, silent or broken.

The camera is vivid, the kernel's own test driver; its plain pictures are read by a model that tells colours apart.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.emulation.machine import Machine
from tests.emulation.test_pins import send
from tests.emulation.wheels import edgetl_wheel, unpack_edgetl
from tests.runtime import tiny

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(1200)]

CAMERA = "/dev/v4l/by-path/platform-vivid.0-video-index0"
DRIVER = "/sys/bus/platform/drivers/vivid"
PATTERNS = {"red": 7, "green": 8, "blue": 9}  # vivid's numbers of its one-coloured test pictures
LINE = f"""
source: {CAMERA}
camera: {{format: YUYV, width: 640, height: 360, fps: 10}}
trigger: {{type: timer, every_s: 0.5}}
trust: {{max_age_s: 60, frozen_after_s: 0, quality: false}}
"""
RUN = "cd /root/t && PYTHONPATH=/root/t/lib /opt/edgetl/venv/bin/python -m edgetl run tiny.edgetl --config line.yaml --json"


class Line:
    """A line that runs on the machine, and what it has said so far."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.parts = 0

    def do(self, command: str) -> str:
        done = self.machine.ssh(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def start(self) -> None:
        self.do(f"sh -c {shlex.quote(f'({RUN}) >/root/t/out 2>/root/t/err </dev/null & :')}")

    def show(self, colour: str) -> None:
        self.do(f"v4l2-ctl -d {CAMERA} -c test_pattern={PATTERNS[colour]},osd_text_mode=2")

    def log(self) -> str:
        return self.do("cat /root/t/err")

    def await_verdict(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 120) -> dict[str, Any]:
        """The first verdict from now on that is wanted; every one on the way has its number, without a gap."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            lines = self.do(f"tail -n +{self.parts + 1} /root/t/out").splitlines(keepends=True)
            for line in lines:
                if not line.endswith("\n"):
                    break  # half written
                verdict: dict[str, Any] = json.loads(line)
                self.parts += 1
                assert verdict["sequence"] == self.parts
                if wanted(verdict):
                    return verdict
            time.sleep(0.3)
        raise AssertionError(f"it did not come: {self.do('tail -3 /root/t/out')} {self.log()}")

    def await_colour(self, colour: str) -> None:
        self.show(colour)
        self.await_verdict(lambda verdict: verdict["label"] == colour)

    def await_fault(self, reason: str) -> None:
        found = self.await_verdict(lambda verdict: verdict["verdict"] == "FAULT" and reason in verdict["reason"])
        assert found["label"] is None
        assert found["reason"].count(CAMERA) == 1


@pytest.fixture
def line(machine: Machine, tmp_path: Path) -> Line:
    """A prepared line before its start; its camera is plugged in."""
    folder = tmp_path / "t"
    unpack_edgetl(edgetl_wheel(tmp_path), folder / "lib")
    tiny.write(folder / "tiny.edgetl")
    (folder / "line.yaml").write_text(LINE)
    send(machine, folder)
    machine.add_camera()
    return Line(machine)


@pytest.mark.fault("C4")
def test_camera_pulled_out_comes_back_under_another_number_with_the_same_colours(line: Line) -> None:
    line.start()
    for colour in PATTERNS:
        line.await_colour(colour)
    # Somebody else looks at the camera and keeps its old number occupied.
    line.do("sh -c 'sleep 1000 < /dev/video0 >/dev/null 2>&1 & :'")
    line.do(f"echo vivid.0 > {DRIVER}/unbind")
    line.await_fault("no such camera; check the cable")
    line.do(f"echo vivid.0 > {DRIVER}/bind && udevadm settle")
    assert line.do(f"readlink -f {CAMERA}") == "/dev/video1\n"
    for colour in PATTERNS:
        line.await_colour(colour)
    assert "frames are back after" in line.log()
    assert "Traceback" not in line.log()


@pytest.mark.fault("C5")
def test_camera_in_use_is_named_with_its_user_and_taken_once_it_is_free(line: Line) -> None:
    line.do(f"sh -c 'v4l2-ctl -d {CAMERA} --stream-mmap --stream-count=100000 >/dev/null 2>&1 </dev/null & :'")
    line.do("sleep 2")
    line.start()
    line.await_fault("the camera is in use by v4l2-ctl (process ")
    line.do("pkill v4l2-ctl")
    line.await_colour("green")
    assert "Traceback" not in line.log()


def test_silent_and_broken_streams_are_faults_and_the_camera_is_opened_again(line: Line) -> None:
    line.start()
    line.await_colour("green")
    line.do(f"v4l2-ctl -d {CAMERA} -c percentage_of_dropped_buffers=100")
    line.await_fault("no frame came")
    line.do(f"v4l2-ctl -d {CAMERA} -c percentage_of_dropped_buffers=0")
    line.await_colour("red")
    line.do(f"v4l2-ctl -d {CAMERA} -c inject_fatal_streaming_error=1")
    line.await_fault("no frame came")
    line.await_colour("blue")
    assert "Traceback" not in line.log()


def test_settings_are_set_read_back_and_set_again_after_a_replug(line: Line) -> None:
    """vivid has a gain, which it changes by itself until it is told not to, and no exposure."""
    line.do("sed -i 's/fps: 10/fps: 10, gain: 42, exposure_ms: 3/' /root/t/line.yaml")
    assert line.do(f"v4l2-ctl -d {CAMERA} -C gain_automatic").split() == ["gain_automatic:", "1"]
    line.start()
    line.await_colour("green")
    assert line.do(f"v4l2-ctl -d {CAMERA} -C gain").split() == ["gain:", "42"]
    assert "exposure (0.1 ms): asked 30, the camera has " in line.log()
    assert "gain: asked" not in line.log() and "width: asked" not in line.log()
    line.do(f"echo vivid.0 > {DRIVER}/unbind")
    line.await_fault("no such camera; check the cable")
    line.do(f"echo vivid.0 > {DRIVER}/bind && udevadm settle")
    line.await_colour("red")
    assert line.do(f"v4l2-ctl -d {CAMERA} -C gain").split() == ["gain:", "42"]
