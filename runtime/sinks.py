"""Where verdicts go: lines of JSON, lines for people, and a video with the verdict drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import cv2
import numpy as np

from edgetl.errors import StorageError, UsageError
from edgetl.runtime.line_view import LineView
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict, to_json


class JsonLines:
    """One JSON line a verdict, flushed at once, so that a reader downstream acts on it now."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Writes the verdict, if there is one."""
        if verdict is not None:
            self._stream.write(to_json(verdict) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""


class TextLines:
    """One aligned line a verdict, for people."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Writes the verdict, if there is one."""
        if verdict is None:
            return
        said = f"{verdict.label} {verdict.score:.3f}" if verdict.label else verdict.reason or ""
        what = f"part {verdict.part}" if verdict.part is not None else verdict.source
        self._stream.write(
            f"{verdict.sequence:>6}  {verdict.verdict:<8}{said:<24}  {what}  {verdict.latency_ms:.1f} ms\n"
        )
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""


class VideoWriter:
    """The line view as a video file (MPEG-4 in .mp4, or Motion JPEG in .avi)."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self._codec = {".mp4": "mp4v", ".avi": "MJPG"}.get(path.suffix.lower())
        if self._codec is None:
            raise UsageError(f"{path}: name a .mp4 or .avi file to save the video in")
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent}: no such folder; make it first or choose another for the video")
        self._path = path
        self._fps = frames_per_second
        self._view = LineView()
        self._writer: cv2.VideoWriter | None = None
        self.picture: Image | None = None

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Draws and writes one frame; a frame without a picture is shown as a grey one that says so."""
        image = frame.image if frame.image is not None else np.full((480, 640, 3), 60, np.uint8)
        self.picture = self._view.draw(image, verdict)
        if self._writer is None:
            self._writer = self._opened()
        self._writer.write(self.picture)

    def _opened(self) -> cv2.VideoWriter:
        assert self.picture is not None and self._codec is not None
        height, width = self.picture.shape[:2]
        fourcc = cv2.VideoWriter.fourcc(*self._codec)
        writer = cv2.VideoWriter(str(self._path), fourcc, self._fps, (width, height))
        if not writer.isOpened():
            raise StorageError(f"cannot write {self._path}: OpenCV could not open it; check the folder's permissions")
        return writer

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.release()
