"""GStreamer pipelines (`gst:PIPELINE`), where OpenCV was built with it; the wheels from the package index were not."""

from __future__ import annotations

import time

import cv2

from edgetl.errors import MissingPartError, SourceError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.asked import not_taken
from edgetl.runtime.capture.grabbers.base import Canvas, Grabbed

_KNOWN = {"width": cv2.CAP_PROP_FRAME_WIDTH, "height": cv2.CAP_PROP_FRAME_HEIGHT, "fps": cv2.CAP_PROP_FPS}
_END = "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"


def pipeline_of(address: str) -> str:
    """The pipeline of a `gst:` address, ended so that only the newest frame is kept."""
    pipeline = address.removeprefix("gst:").strip().rstrip("!").strip()
    return pipeline if "appsink" in pipeline else f"{pipeline} ! {_END}"


class GStreamerCamera:
    """A pipeline of the user's. OpenCV has no time limits for it: one that hangs is killed with its process."""

    def __init__(self, address: str, config: CameraConfig) -> None:
        if not any(line.split()[:2] == ["GStreamer:", "YES"] for line in cv2.getBuildInformation().splitlines()):
            raise MissingPartError("this OpenCV was built without GStreamer; Debian's python3-opencv has it")
        self._capture = cv2.VideoCapture(pipeline_of(address), cv2.CAP_GSTREAMER)
        if not self._capture.isOpened():
            raise SourceError("GStreamer cannot start the pipeline; try it with gst-launch-1.0")
        size = {name: self._capture.get(prop) for name, prop in _KNOWN.items()}
        self.differs = not_taken(config, size)
        self.told, self._canvas = f"GStreamer pipeline {size['width']:.0f}×{size['height']:.0f}", Canvas()

    def grab(self, into: memoryview | None) -> Grabbed:
        """The next frame."""
        if not self._capture.grab():
            raise SourceError("the pipeline gave no frame")
        arrived_s = time.monotonic()
        if into is None:
            return Grabbed(0, 0, arrived_s)
        good, image = self._capture.retrieve(self._canvas.target(into))
        if not good or image is None:
            return Grabbed(0, 0, arrived_s, damage="a frame came that GStreamer cannot convert")
        return Grabbed(*self._canvas.put(image, into), arrived_s)

    def close(self) -> None:
        """Stops the pipeline."""
        self._capture.release()
