"""Where verdicts go: lines of JSON, lines for people, and a video with the verdict drawn in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np

from edgetl.errors import StorageError, UsageError
from edgetl.runtime.files import replacing
from edgetl.runtime.line_view import LineView
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict, to_json

_HEATED = ("NG", "UNKNOWN")


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

    def __init__(self, path: Path, frames_per_second: float, heat: Callable[[Image], Image] | None = None) -> None:
        """`heat` draws over a frame what made its verdict NG or UNKNOWN."""
        self._heat = heat
        self._codec = {".mp4": "mp4v", ".avi": "MJPG"}.get(path.suffix.lower())
        if self._codec is None:
            raise UsageError(f"{path}: name a .mp4 or .avi file to save the video in")
        if path.is_dir():
            raise UsageError(f"{path}: a folder; name a file to save the video in")
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent}: no such folder; make it first or choose another for the video")
        self._path = path
        self._fps = frames_per_second
        self._view = LineView()
        self._writer: cv2.VideoWriter | None = None
        self._replacing = ExitStack()  # entered with the first frame: an earlier video stays until this one is whole
        self._frames = 0
        self.picture: Image | None = None

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Draws and writes one frame; a frame without a picture is shown as a grey one that says so."""
        image = frame.image if frame.image is not None else np.full((480, 640, 3), 60, np.uint8)
        if self._heat is not None and frame.image is not None and verdict is not None and verdict.verdict in _HEATED:
            image = self._heat(image)
        self.picture = self._view.draw(image, verdict)
        if self._writer is None:
            self._writer = self._opened()
        self._writer.write(self.picture)
        self._frames += 1

    def _opened(self) -> cv2.VideoWriter:
        assert self.picture is not None and self._codec is not None
        height, width = self.picture.shape[:2]
        fourcc = cv2.VideoWriter.fourcc(*self._codec)
        self._temporary = self._replacing.enter_context(replacing(self._path))
        writer = cv2.VideoWriter(str(self._temporary), fourcc, self._fps, (width, height))
        if not writer.isOpened():
            with self._replacing:
                raise StorageError(
                    f"cannot write {self._path}: OpenCV could not open it; check the folder's permissions"
                )
        return writer

    def close(self) -> None:
        """Ends the file. Raises StorageError if it is not whole; what was there before is then untouched."""
        if self._writer is None:
            return
        with self._replacing:
            self._writer.release()
            if not self._is_whole():
                raise StorageError(
                    f"cannot write {self._path}: the video came out broken; check that the disk is not full"
                )

    def _is_whole(self) -> bool:
        """OpenCV says nothing when the disk is full, so the frames are counted (not decoded) in what was written."""
        capture = cv2.VideoCapture(str(self._temporary), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
        found = sum(1 for _ in iter(capture.grab, False))
        capture.release()
        return found == self._frames
