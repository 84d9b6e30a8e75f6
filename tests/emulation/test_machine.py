"""The emulated computer has what a line's has: a camera, pins, a plug, a cable."""

from __future__ import annotations

import pytest

from tests.emulation.machine import Machine, Pins

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(1200)]  # the first run builds the device

FRAME = """
import cv2
camera = cv2.VideoCapture("/dev/video0", cv2.CAP_V4L2)
camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV"))
good, frame = camera.read()
print(good, frame.shape[2], frame.std() > 5)
"""


def test_it_has_a_camera_that_opencv_reads(machine: Machine) -> None:
    machine.add_camera()
    done = machine.ssh("/opt/edgetl/venv/bin/python -", stdin=FRAME.encode())
    assert done.stdout.split() == ["True", "3", "True"], done.stderr


def test_its_output_pin_is_seen_from_outside(machine: Machine) -> None:
    pins = Pins(machine)
    try:
        assert machine.ssh("gpioset gpiochip0 5=1").returncode == 0
        assert pins.wait_for(5, high=True)
    finally:
        pins.close()


def test_a_sensor_outside_is_seen_at_its_input_pin(machine: Machine) -> None:
    pins = Pins(machine)
    try:
        pins.drive(2, True)
        assert machine.ssh("gpioget gpiochip0 2").stdout == "1\n"
        pins.drive(2, False)
        assert machine.ssh("gpioget gpiochip0 2").stdout == "0\n"
    finally:
        pins.close()


def test_a_power_cut_keeps_what_was_synced_and_boots_again(machine: Machine) -> None:
    assert machine.ssh("echo synced > /root/note; sync").returncode == 0
    machine.cut_power()
    machine.start()
    assert machine.ssh("cat /root/note").stdout == "synced\n"


def test_a_pulled_cable_cuts_the_connection(machine: Machine) -> None:
    machine.set_cable(False)
    assert machine.ssh("true", timeout_s=20).returncode == 255
    machine.set_cable(True)
    assert machine.ssh("true").returncode == 0
