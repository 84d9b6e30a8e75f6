"""Raspberry Pi cameras at the CSI socket (`csi:0`) through Picamera2, which Raspberry Pi OS installs with apt."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping
from typing import Any

from edgetl.errors import MissingPartError, SourceError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.asked import difference
from edgetl.runtime.capture.grabbers.base import Canvas, Grabbed

_NAMES = {
    "ExposureTime": "exposure (µs)",
    "AnalogueGain": "gain",
    "ColourTemperature": "white balance (K)",
    "LensPosition": "focus (dioptres)",
    "FrameRate": "fps",
    "AeEnable": "automatic exposure",
    "AwbEnable": "automatic white balance",
    "AfMode": "automatic focus",
}
_CLOSE = 0.05  # a sensor counts its exposure in rows and its gain in steps
_SETTLING_FRAMES = 10  # until a new exposure is in the pictures


def controls_of(config: CameraConfig) -> dict[str, Any]:
    """libcamera's controls for a configuration; times there are in microseconds."""
    controls: dict[str, Any] = {}
    if config.fps is not None:
        controls["FrameRate"] = config.fps
    if config.exposure_ms is not None:
        auto = config.exposure_ms == "auto"
        controls |= (
            {"AeEnable": True} if auto else {"AeEnable": False, "ExposureTime": int(1000 * float(config.exposure_ms))}
        )
    if config.gain is not None:
        controls["AnalogueGain"] = config.gain
    if config.white_balance_k is not None:
        auto = config.white_balance_k == "auto"
        controls |= (
            {"AwbEnable": True} if auto else {"AwbEnable": False, "ColourTemperature": int(config.white_balance_k)}
        )
    if config.focus is not None:
        # AfMode 0 is manual, 2 continuous; the lens position is in dioptres
        controls |= {"AfMode": 2} if config.focus == "auto" else {"AfMode": 0, "LensPosition": config.focus}
    return controls


def differs_of(wanted: Mapping[str, Any], offered: Container[str], has: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a camera is not set as was wanted: controls that it does not offer, and values that its frames do not bear."""
    told = [f"{_NAMES.get(name, name)}: the camera has no such setting" for name in wanted if name not in offered]
    for name in ("ExposureTime", "AnalogueGain", "ColourTemperature", "LensPosition"):
        if name in wanted and name in offered and name in has:
            told.append(difference(_NAMES[name], float(wanted[name]), float(has[name]), _CLOSE) or "")
    if "FrameRate" in wanted and has.get("FrameDuration"):
        told.append(difference("fps", float(wanted["FrameRate"]), 1e6 / float(has["FrameDuration"]), _CLOSE) or "")
    return tuple(filter(None, told))


class CsiCamera:
    """A CSI camera. Picamera2's format `RGB888` is named by the bits of a word and lies in memory as B, G, R."""

    def __init__(self, address: str, config: CameraConfig) -> None:
        try:
            from picamera2 import MappedArray, Picamera2  # type: ignore[import-not-found]
        except ModuleNotFoundError as error:
            raise MissingPartError(
                "Picamera2 is not installed; run: apt install python3-picamera2, and make the environment with --system-site-packages"
            ) from error
        self._mapped = MappedArray
        try:
            self._camera = Picamera2(int(address.removeprefix("csi:") or 0))
        except (RuntimeError, IndexError, ValueError) as error:
            raise SourceError(f"no such camera ({error}); rpicam-hello --list-cameras shows them") from error
        try:
            self.differs = self._started(config)
        except (RuntimeError, ValueError) as error:
            self._camera.close()
            raise SourceError(f"the camera cannot be started as the file asks ({error})") from error
        width, height = self._camera.camera_configuration()["main"]["size"]
        self.told = f"CSI {width}×{height}"
        self._canvas = Canvas()

    def _started(self, config: CameraConfig) -> tuple[str, ...]:
        """Sets and starts the camera; says what it did not take, by what its frames say of themselves."""
        size = (config.width or 1280, config.height or 720)
        wanted, offered = controls_of(config), self._camera.camera_controls
        taken = {name: value for name, value in wanted.items() if name in offered}
        self._camera.configure(
            self._camera.create_video_configuration({"format": "RGB888", "size": size}, controls=taken)
        )
        self._camera.start()
        for _ in range(_SETTLING_FRAMES):
            differs = differs_of(wanted, offered, self._camera.capture_metadata())
            if len(differs) == len(wanted) - len(taken):
                break
        got = self._camera.camera_configuration()["main"]["size"]
        if tuple(got) != size:
            differs = (f"size: asked {size[0]}×{size[1]}, the camera has {got[0]}×{got[1]}", *differs)
        return differs

    def grab(self, into: memoryview | None) -> Grabbed:
        """The next frame, with the sensor's own time of it."""
        request = self._camera.capture_request()
        try:
            if into is None:
                return Grabbed(0, 0, _taken_s(request.get_metadata()))
            with self._mapped(request, "main") as mapped:
                width, height = self._canvas.put(mapped.array, into)
            return Grabbed(width, height, _taken_s(request.get_metadata()))
        finally:
            request.release()

    def close(self) -> None:
        """Stops and releases the camera."""
        self._camera.stop()
        self._camera.close()


def _taken_s(metadata: dict[str, Any]) -> float:
    """When the frame was taken, on the monotonic clock; libcamera's stamp counts suspended time too (CLOCK_BOOTTIME)."""
    now_s = time.monotonic()
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - metadata.get("SensorTimestamp", 0) / 1e9
    return now_s - age_s if 0 <= age_s < 60 else now_s
