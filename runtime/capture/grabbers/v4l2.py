"""V4L2 cameras (USB, and whatever else has a /dev/video node), by a name that stays: /dev/v4l/by-id or by-path."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import time
from pathlib import Path

import cv2
import msgspec

from edgetl.errors import PictureError, SourceError
from edgetl.runtime.capture.config import Auto, CameraConfig
from edgetl.runtime.capture.grabbers.asked import CLOSE
from edgetl.runtime.capture.grabbers.base import Canvas, Grabbed
from edgetl.runtime.jpeg import decode_jpeg

_V4L_MAJOR = 81  # the kernel's device number of video devices
_AUTO_EXPOSURE, _MANUAL_EXPOSURE = 3, 1  # V4L2_EXPOSURE_APERTURE_PRIORITY and _MANUAL
_TENTHS = 10.0  # V4L2 counts exposure in 0.1 ms
_SET_CONTROL, _AUTOGAIN = 0xC008561C, 0x00980912  # VIDIOC_S_CTRL, V4L2_CID_AUTOGAIN of linux/videodev2.h


class Setting(msgspec.Struct, frozen=True):
    """One property to set: its name for people, OpenCV's number, and the value in the camera's units. `asked`: by the
    user, who is told where the camera has another value."""

    name: str
    prop: int
    value: float
    asked: bool = True


def settings_of(config: CameraConfig) -> list[Setting]:
    """What to set, in the order that drivers need: format and size first, an automatic before what it would overrule."""
    rows: list[tuple[str, int, float | None]] = [
        ("format", cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*(config.format or "MJPG"))),
        ("width", cv2.CAP_PROP_FRAME_WIDTH, config.width),
        ("height", cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        ("fps", cv2.CAP_PROP_FPS, config.fps),
    ]
    if config.exposure_ms is not None:
        mode, value = _auto(config.exposure_ms)
        rows += [("automatic exposure", cv2.CAP_PROP_AUTO_EXPOSURE, _AUTO_EXPOSURE if mode else _MANUAL_EXPOSURE)]
        rows += [("exposure (0.1 ms)", cv2.CAP_PROP_EXPOSURE, None if value is None else value * _TENTHS)]
    rows += [("gain", cv2.CAP_PROP_GAIN, config.gain)]
    if config.white_balance_k is not None:
        mode, value = _auto(config.white_balance_k)
        rows += [("automatic white balance", cv2.CAP_PROP_AUTO_WB, mode)]
        rows += [("white balance (K)", cv2.CAP_PROP_WB_TEMPERATURE, value)]
    if config.focus is not None:
        mode, value = _auto(config.focus)
        rows += [("automatic focus", cv2.CAP_PROP_AUTOFOCUS, mode), ("focus", cv2.CAP_PROP_FOCUS, value)]
    unasked = (
        "format" if config.format is None else ""
    )  # Motion JPEG is preferred, since USB is narrow; nobody asked for it
    return [Setting(name, prop, float(value), name != unasked) for name, prop, value in rows if value is not None]


def _auto(wanted: float | Auto) -> tuple[float, float | None]:
    """1 for automatic, or 0 and the fixed value."""
    return (1.0, None) if wanted == "auto" else (0.0, wanted)


def apply(capture: cv2.VideoCapture, wanted: list[Setting]) -> tuple[str, ...]:
    """Sets every property, reads all of them back, and names those where the camera has another value."""
    for setting in wanted:
        capture.set(setting.prop, setting.value)
    return tuple(
        f"{s.name}: asked {_shown(s.prop, s.value)}, the camera has {_shown(s.prop, got)}"
        for s in wanted
        if s.asked and abs((got := capture.get(s.prop)) - s.value) > _close(s) * abs(s.value)
    )


def stop_automatic_gain(device: Path) -> None:
    """Switches a camera's automatic gain off, where it has one: it would overrule what was asked. OpenCV knows no such property."""
    with contextlib.suppress(OSError):  # most cameras have none
        opened = os.open(device, os.O_RDWR | os.O_NONBLOCK)
        try:
            fcntl.ioctl(opened, _SET_CONTROL, struct.pack("Ii", _AUTOGAIN, 0))
        finally:
            os.close(opened)


def _close(setting: Setting) -> float:
    """The share of a value by which it may differ; a format is another one by a single bit."""
    return 0.0 if setting.prop == cv2.CAP_PROP_FOURCC else CLOSE


def _shown(prop: int, value: float) -> str:
    return fourcc_name(int(value)) if prop == cv2.CAP_PROP_FOURCC else f"{value:g}"


def fourcc_name(code: int) -> str:
    """The four letters of a FOURCC."""
    return bytes((code >> shift) & 0xFF for shift in (0, 8, 16, 24)).decode("latin-1").strip("\0") or "none"


def device_path(address: str) -> Path:
    """The device node that an address means now: after a replug the same name leads to another node."""
    named = Path(f"/dev/video{address}") if address.isdecimal() else Path(address)
    try:
        device = named.resolve(strict=True)
        status = device.stat()
    except OSError as error:
        raise SourceError(f"{named}: no such camera; check the cable, and ls /dev/v4l/by-id for its name") from error
    if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != _V4L_MAJOR:
        raise SourceError(f"{named}: no such camera: it is there, but no video device")
    return device


def stable_name(device: Path, folder: Path = Path("/dev/v4l")) -> str | None:
    """A name of the camera that stays when it is plugged in again: by its serial number, else by its socket."""
    for kind in ("by-id", "by-path"):
        for link in sorted((folder / kind).glob("*")) if (folder / kind).is_dir() else []:
            if link.resolve() == device:
                return str(link)
    return None


def why_closed(device: Path, proc: Path = Path("/proc")) -> str:
    """Why a device node could not be used, in words, with what to do."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        if error.errno == errno.EACCES:
            return f"{device}: no permission to use the camera; add this user to the group of the device (often video)"
        if error.errno != errno.EBUSY:
            return f"{device}: no such camera ({error.strerror}); check the cable"
    users = _users(device, proc)
    if users:
        return f"{device}: the camera is in use by {', '.join(users[:3])}; stop it, or give each its own camera"
    return f"{device}: no such camera, or it gives no pictures; v4l2-ctl --list-devices shows which node does"


def _users(device: Path, proc: Path) -> list[str]:
    """The other processes that hold the device open, as far as this user may see."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if any(os.readlink(fd) == str(device) for fd in (entry / "fd").iterdir()):  # noqa: PTH115
                found.append(f"{(entry / 'comm').read_text().strip()} (process {entry.name})")
        except OSError:
            continue  # it ended, or belongs to somebody else
    return found


class V4l2Camera:
    """A V4L2 camera. Motion JPEG is fetched as it is and decoded strictly, since OpenCV would patch up damaged frames."""

    def __init__(self, address: str, config: CameraConfig) -> None:
        device = device_path(address)
        self._capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceError(why_closed(device))
        if config.gain is not None:
            stop_automatic_gain(device)
        self.differs = apply(self._capture, settings_of(config))
        fourcc = fourcc_name(int(self._capture.get(cv2.CAP_PROP_FOURCC)))
        self._jpeg = fourcc in ("MJPG", "JPEG") and self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        name = stable_name(device)
        self.told = f"{fourcc} {width:.0f}×{height:.0f} at {self._capture.get(cv2.CAP_PROP_FPS):g} a second" + (
            f"; {name}" if name and name != address else ""  # what it should be asked for by
        )
        self._canvas = Canvas()

    def grab(self, into: memoryview | None) -> Grabbed:
        """The next frame; a loop that asks for each as it comes never meets an old one."""
        if not self._capture.grab():
            raise SourceError("no frame came (cable, power, or another program)")
        arrived_s = self._taken_s()
        if into is None:
            return Grabbed(0, 0, arrived_s)
        good, image = self._capture.retrieve(None if self._jpeg else self._canvas.target(into))
        if not good or image is None:
            return Grabbed(0, 0, arrived_s, damage="a frame came that OpenCV cannot decode")
        try:
            image = decode_jpeg(image.reshape(-1), "frame", into) if self._jpeg else image
        except PictureError as error:
            return Grabbed(0, 0, arrived_s, damage=str(error))
        return Grabbed(*self._canvas.put(image, into), arrived_s)

    def _taken_s(self) -> float:
        """The driver's own time of the frame, where it is on the monotonic clock; else now."""
        now_s, driver_s = time.monotonic(), self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return driver_s if 0 <= now_s - driver_s < 60 else now_s

    def close(self) -> None:
        """Releases the device."""
        self._capture.release()
