"""Video files, through OpenCV."""

from __future__ import annotations

import time
from pathlib import Path

import cv2

from edgetl.errors import SourceError
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.sources.pool import FramePool
from edgetl.runtime.spare import spare_cores


class VideoFile:
    """A video file: every frame counts, none is dropped."""

    live = False
    triggered = False

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, spare_cores()])
        if not self._capture.isOpened():
            raise SourceError(f"{path}: OpenCV cannot open it as a video; check that it plays elsewhere")
        self._fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self._promised = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._read = 0
        self._shape: tuple[int, ...] | None = None
        self._pool = FramePool()

    def read(self) -> Frame | None:
        """The next frame; None at the end; SourceError where the file breaks off before the end it promises."""
        target = None if self._shape is None else self._pool.take(self._shape)
        good, image = self._capture.read(target)
        if not good:
            self._check_end()
            return None
        self._shape = image.shape
        index, self._read = self._read, self._read + 1
        return Frame(index, self.name, image, time.monotonic(), index / self._fps)

    def _check_end(self) -> None:
        # Containers count a few frames that decoders do not give (edit lists, B-frames); 2 % and 2 frames are allowed.
        if self._promised > 0 and self._read < self._promised - max(2, 0.02 * self._promised):
            raise SourceError(f"{self._path}: ends early, after {self._read} of {self._promised} frames; it is damaged")

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()
