"""A CSI camera, by a stand-in for Picamera2 in the camera's process: its colours, its settings, and the age of its frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetl.errors import SourceError
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.csi import controls_of, differs_of
from tests.runtime.capture.cameras import PATIENCE_S, good, until

STAND_IN = Path(__file__).parent / "picamera2_stand_in"
WALL_BGR = (40, 120, 200)

Opened = Callable[..., Camera]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    cameras: list[Camera] = []

    def open_camera(address: str = "csi:0", **settings: object) -> Camera:
        cameras.append(Camera(address, CameraConfig(required_at_start=True, **settings)))  # type: ignore[arg-type]
        return cameras[-1]

    yield open_camera
    for camera in cameras:
        camera.close()


def test_colours_are_blue_green_red_in_this_order(opened: Opened) -> None:
    image = until(opened(width=640, height=480, exposure_ms=10), good).image
    assert image is not None and image.shape == (480, 640, 3)
    assert abs(image.astype(int) - WALL_BGR).max() <= 2


def test_settings_reach_the_sensor(opened: Opened) -> None:
    camera = opened(width=640, height=480, exposure_ms=2.5, gain=2, white_balance_k=5000, fps=50)
    image = until(camera, good).image
    assert image is not None and abs(image.astype(int) - [v / 2 for v in WALL_BGR]).max() <= 2
    assert camera.health().detail == "CSI 640×480", "all was taken"


def test_what_the_camera_does_not_take_is_named(opened: Opened) -> None:
    camera = opened(width=650, height=480, exposure_ms=500, gain=3, focus=2.0)
    until(camera, good)
    assert camera.health().detail.split("; ") == [
        "CSI 640×480",
        "size: asked 650×480, the camera has 640×480",
        "automatic focus: the camera has no such setting",
        "focus (dioptres): the camera has no such setting",
        "exposure (µs): asked 500000, the camera has 199984",
    ]


def test_frames_are_as_old_as_the_sensor_says(opened: Opened) -> None:
    camera = opened(width=64, height=48)
    frames = [until(camera, good) for _ in range(20)]
    assert 0.02 <= time.monotonic() - frames[-1].arrived_s < PATIENCE_S
    assert [f.arrived_s for f in frames] == sorted({f.arrived_s for f in frames})


def test_camera_that_is_not_there_is_refused(opened: Opened) -> None:
    with pytest.raises(SourceError, match=r"no such camera .*rpicam-hello"):
        opened("csi:1")


def test_automatic_is_asked_for_by_its_own_control() -> None:
    assert controls_of(CameraConfig(exposure_ms="auto", white_balance_k="auto", focus="auto")) == {
        "AeEnable": True, "AwbEnable": True, "AfMode": 2
    }  # fmt: skip
    fixed = controls_of(CameraConfig(exposure_ms=4, white_balance_k=4600, focus=1.5))
    assert fixed == {
        "AeEnable": False, "ExposureTime": 4000, "AwbEnable": False, "ColourTemperature": 4600, "AfMode": 0, "LensPosition": 1.5
    }  # fmt: skip


def test_frames_that_say_nothing_of_a_setting_leave_it_untold() -> None:
    wanted = {"ExposureTime": 4000, "AnalogueGain": 2.0, "FrameRate": 30}
    assert differs_of(wanted, wanted, {}) == ()
    assert differs_of(wanted, wanted, {"ExposureTime": 3900, "AnalogueGain": 4.0, "FrameDuration": 66666}) == (
        "gain: asked 2, the camera has 4", "fps: asked 30, the camera has 15.0002"
    )  # fmt: skip
