"""The real kernel's pins: a light barrier announces parts, bad ones are pushed out, and the end is safe."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.emulation.machine import Machine, Pins
from tests.emulation.wheels import _pip, edgetl_wheel, target_arguments, unpack_edgetl
from tests.runtime import tiny

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(1200)]

ENCODER, OK_PIN, BARRIER, BAD_PIN, PUSHER, READY = 0, 1, 2, 4, 5, 6
# A small drawn belt stands for the camera; its own marks do not count. The undecided model makes every part a bad one.
LINE = f"""
source: sim:width=64,height=64,fps=10,parts_per_minute=6
trigger: {{type: gpio, line: {BARRIER}, timeout_s: 20}}
reject:
  pin: {{line: {PUSHER}}}
  delay_s: 1.0
  tolerance_s: 10
  pulse_s: 0.2
  ready: {{line: {READY}}}
outputs:
- type: gpio
  pins:
  - {{line: {OK_PIN}, on: [OK]}}
  - {{line: {BAD_PIN}, on: [NG, UNKNOWN], pulse_s: 0.2}}
trust: {{max_age_s: 60, frozen_after_s: 0, quality: false}}
"""
BY_ENCODER = LINE.replace("delay_s: 1.0", f"encoder: {{line: {ENCODER}, distance: 5, tolerance: 100}}").replace(
    "  tolerance_s: 10\n", ""
)
EDGETL = "cd /root/t && PYTHONPATH=/root/t/lib /opt/edgetl/venv/bin/python -m edgetl"
RUN = f"{EDGETL} run tiny.edgetl --config line.yaml --json"


def send(machine: Machine, folder: Path) -> None:
    """A folder to /root/t, in one stream."""
    packed = subprocess.run(["tar", "-C", str(folder), "-cf", "-", "."], stdout=subprocess.PIPE, check=True).stdout
    assert machine.ssh("mkdir -p /root/t && tar -C /root/t -xf -", stdin=packed).returncode == 0


@pytest.fixture
def inspecting(machine: Machine, tmp_path: Path) -> Machine:
    """The machine with edgetl, libgpiod's package, a bundle and a line's file."""
    folder = tmp_path / "t"
    unpack_edgetl(edgetl_wheel(tmp_path), folder / "lib")
    _pip("install", "--no-deps", "--target", str(folder / "lib"), *target_arguments(), "gpiod>=2.1,<3")
    tiny.write(folder / "tiny.edgetl")
    (folder / "line.yaml").write_text(LINE)
    send(machine, folder)
    return machine


def configure(machine: Machine, line: str) -> None:
    """Another line's file."""
    assert machine.ssh("cat > /root/t/line.yaml", stdin=line.encode()).returncode == 0


def start(machine: Machine) -> None:
    """Starts the line, and returns once it holds the barrier's pin."""
    machine.ssh(f"sh -c {shlex.quote(f'({RUN}) >/root/t/out 2>/root/t/err </dev/null & echo $! >/root/t/pid')}")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if "edgetl" in machine.ssh(f"gpioinfo gpiochip0 | grep -w 'line *{BARRIER}'").stdout:
            return
        if said := machine.ssh("grep edgetl: /root/t/err").stdout:
            raise AssertionError(said)
        time.sleep(1)
    raise AssertionError(machine.ssh("cat /root/t/err /root/t/out; ps aux | grep edgetl; gpioinfo gpiochip0").stdout)


def test_barrier_announces_parts_and_each_bad_one_is_pushed_out_once(inspecting: Machine) -> None:
    pins = Pins(inspecting)
    try:
        start(inspecting)
        for part in range(3):
            if part == 0:
                assert pins.wait_for(READY, high=True, timeout_s=60), "ready before the first part"
            announced = time.monotonic()
            pins.drive(BARRIER, True)
            assert pins.wait_for(BAD_PIN, PUSHER, high=True, timeout_s=60), f"part {part + 1}"
            assert time.monotonic() - announced >= 1.0, "not before the part is there"
            pins.drive(BARRIER, False)
            assert pins.wait_for(PUSHER, high=False, timeout_s=60)
        inspecting.ssh("pkill -TERM -f line.yaml")
        assert pins.wait_for(READY, high=False, timeout_s=60), "the end takes ready away"
        deadline = time.monotonic() + 60
        while "summary" not in (said := inspecting.ssh("cat /root/t/out").stdout) and time.monotonic() < deadline:
            time.sleep(1)
    finally:
        pins.close()
    parts = [line for line in said.splitlines() if '"part":' in line]
    assert [f'"part":{n},' in line for n, line in enumerate(parts, 1)] == [True] * 3, said
    assert "Traceback" not in inspecting.ssh("cat /root/t/err").stdout


def test_encoder_s_counts_are_the_way_to_the_pusher(inspecting: Machine) -> None:
    configure(inspecting, BY_ENCODER)
    pins = Pins(inspecting)
    try:
        start(inspecting)
        pins.drive(BARRIER, True)
        assert pins.wait_for(BAD_PIN, high=True, timeout_s=60), "the verdict"
        for _ in range(4):
            pins.drive(ENCODER, True)
            time.sleep(0.1)
            pins.drive(ENCODER, False)
            time.sleep(0.1)
        assert not pins.wait_for(PUSHER, high=True, timeout_s=3), "the belt stands a count before the pusher"
        pins.drive(ENCODER, True)
        assert pins.wait_for(PUSHER, high=True, timeout_s=60)
    finally:
        pins.close()


def test_killed_in_a_pulse_a_command_makes_the_pins_safe(inspecting: Machine) -> None:
    configure(inspecting, LINE.replace("pulse_s: 0.2\n  ready", "pulse_s: 60\n  ready"))
    pins = Pins(inspecting)
    try:
        start(inspecting)
        pins.drive(BARRIER, True)
        assert pins.wait_for(PUSHER, high=True, timeout_s=60)
        inspecting.ssh("pkill -KILL -f line.yaml")
        assert not pins.wait_for(PUSHER, high=False, timeout_s=5), "the kernel leaves it as it was"
        done = inspecting.ssh(f"{EDGETL} outputs safe --config line.yaml")
        assert done.returncode == 0, done.stderr
        assert pins.wait_for(PUSHER, high=False, timeout_s=20)
    finally:
        pins.close()


def test_killed_process_gives_its_pins_back_and_a_new_one_takes_them(inspecting: Machine) -> None:
    start(inspecting)
    inspecting.ssh("pkill -KILL -f line.yaml")
    assert "edgetl" not in inspecting.ssh("sleep 2; gpioinfo gpiochip0").stdout
    start(inspecting)
