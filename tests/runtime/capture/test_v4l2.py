"""What is asked of a V4L2 camera, and what is said when it cannot be had. Real cameras: tests/emulation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edgetl.errors import SourceError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.v4l2 import (
    apply,
    device_path,
    fourcc_name,
    settings_of,
    stable_name,
    why_closed,
)


def test_format_is_always_asked_and_before_the_size() -> None:
    assert [s.name for s in settings_of(CameraConfig())] == ["format"]
    wanted = settings_of(
        CameraConfig(format="YUYV", width=640, height=480, exposure_ms=2.5, gain=7, white_balance_k="auto")
    )
    assert [(s.name, s.value) for s in wanted] == [
        ("format", float(cv2.VideoWriter.fourcc(*"YUYV"))), ("width", 640.0), ("height", 480.0),
        ("automatic exposure", 1.0), ("exposure (0.1 ms)", 25.0), ("gain", 7.0), ("automatic white balance", 1.0),
    ]  # fmt: skip
    assert fourcc_name(int(wanted[0].value)) == "YUYV"


class Stubborn:
    """A camera that knows two sizes, rounds its exposure, and ignores the rest."""

    def __init__(self) -> None:
        self.values = {cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")), cv2.CAP_PROP_FRAME_WIDTH: 640.0}

    def set(self, prop: int, value: float) -> bool:
        if prop == cv2.CAP_PROP_FRAME_WIDTH:
            self.values[prop] = 1280.0 if value > 960 else 640.0
        elif prop == cv2.CAP_PROP_EXPOSURE:
            self.values[prop] = float(round(value / 10) * 10)
        return True

    def get(self, prop: int) -> float:
        return self.values.get(prop, 0.0)


def test_what_the_camera_does_not_take_is_named() -> None:
    config = CameraConfig(format="MJPG", width=1920, exposure_ms=3)
    assert apply(Stubborn(), settings_of(config)) == (  # type: ignore[arg-type]
        "format: asked MJPG, the camera has YUYV",
        "width: asked 1920, the camera has 1280",
        "automatic exposure: asked 1, the camera has 0",
    )


def test_format_that_nobody_asked_for_is_not_missed() -> None:
    assert apply(Stubborn(), settings_of(CameraConfig(width=640))) == ()  # type: ignore[arg-type]


def test_formats_that_differ_in_one_letter_are_told_apart() -> None:
    camera = Stubborn()
    camera.values[cv2.CAP_PROP_FOURCC] = float(cv2.VideoWriter.fourcc(*"BGR3"))
    (said,) = apply(camera, settings_of(CameraConfig(format="RGB3")))  # type: ignore[arg-type]
    assert said == "format: asked RGB3, the camera has BGR3"


def test_address_is_followed_anew_each_time(tmp_path: Path) -> None:
    """After a replug the same by-id name leads to another node. /dev/null stands in for what is no camera."""
    link = tmp_path / "usb-camera-index0"
    with pytest.raises(SourceError, match="no such camera; check the cable"):
        device_path(str(link))
    link.symlink_to("/dev/null")
    with pytest.raises(SourceError, match="no video device"):
        device_path(str(link))


def test_stable_name_prefers_the_serial_number(tmp_path: Path) -> None:
    device = tmp_path / "video3"
    device.touch()
    assert stable_name(device, tmp_path) is None
    for folder in ("by-path", "by-id"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "other").symlink_to(tmp_path / "video9")
        (tmp_path / folder / "this").symlink_to(device)
        assert stable_name(device, tmp_path) == str(tmp_path / folder / "this")


def test_camera_in_use_is_said_to_be_and_by_whom(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    os.mkfifo(device)
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.open({str(device)!r}, os.O_RDWR)\nprint('held', flush=True)\ninput()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert f"in use by python (process {holder.pid})" in why_closed(device).replace("python3", "python")
    finally:
        holder.communicate("\n")
    assert "no such camera" in why_closed(device)
