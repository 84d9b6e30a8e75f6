"""Video files, V4L2 cameras and network streams, through OpenCV."""

from __future__ import annotations

import time
from pathlib import Path

import cv2

from edgetl.errors import SourceError
from edgetl.runtime.sources.base import Frame, redacted

OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 2000


class VideoFile:
    """A video file: every frame counts, none is dropped."""

    live = False
    triggered = False

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"{path}: OpenCV cannot open it as a video; check that it plays elsewhere")
        self._fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self._promised = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._read = 0

    def read(self) -> Frame | None:
        """The next frame; None at the end; SourceError where the file breaks off before the end it promises."""
        good, image = self._capture.read()
        if not good:
            self._check_end()
            return None
        index, self._read = self._read, self._read + 1
        return Frame(index, self.name, image, time.monotonic(), index / self._fps)

    def _check_end(self) -> None:
        # Containers count a few frames that decoders do not give (edit lists, B-frames); 2 % and 2 frames are allowed.
        if self._promised > 0 and self._read < self._promised - max(2, 0.02 * self._promised):
            raise SourceError(f"{self._path}: ends early, after {self._read} of {self._promised} frames; it is damaged")

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()


class Camera:
    """A V4L2 camera or a network stream (RTSP, HTTP MJPEG). A frame that fails to come is an error, never a picture."""

    live = True
    triggered = False

    def __init__(self, address: int | str) -> None:
        self.name = f"camera {address}" if isinstance(address, int) else redacted(address)
        self._capture = _open(address)
        if not self._capture.isOpened():
            raise SourceError(f"{self.name}: no such camera, or it does not answer; check the cable and the address")
        self._read = 0

    def read(self) -> Frame | None:
        """The next frame. Raises SourceError when none comes in READ_TIMEOUT_MS."""
        good, image = self._capture.read()
        now = time.monotonic()
        if not good or image is None:
            raise SourceError(f"{self.name}: no frame came (cable, power or network); {self._read} came before")
        index, self._read = self._read, self._read + 1
        return Frame(index, self.name, image, now, now)

    def close(self) -> None:
        """Releases the camera."""
        self._capture.release()


def _open(address: int | str) -> cv2.VideoCapture:
    if isinstance(address, int) or address.startswith("/dev/"):
        return cv2.VideoCapture(address, cv2.CAP_V4L2)
    # Only at open do the timeouts count; set later they come too late, and the default is 30 s each.
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
