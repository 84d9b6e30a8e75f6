"""What every way of getting at a camera offers, inside the camera's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from edgetl.errors import SourceError

if TYPE_CHECKING:  # see ring.py
    from edgetl.runtime.preprocess import Image


class Grabbed(msgspec.Struct, frozen=True):
    """A frame that was put into the memory given: its size, when it was taken on the monotonic clock, and how many
    older ones were passed over for it. With `damage` it came but cannot be trusted."""

    width: int
    height: int
    arrived_s: float
    skipped: int = 0
    damage: str | None = None


class Grabber(Protocol):
    """An open camera. Opened by its constructor, which raises SourceError."""

    told: str
    differs: tuple[str, ...]

    def grab(self, into: memoryview | None) -> Grabbed:
        """The newest frame, written to `into` as height×width×3 BGR; where that is None it is dropped, and its size is 0.
        Raises SourceError when none comes in time."""

    def close(self) -> None:
        """Releases the camera."""


class Canvas:
    """Has OpenCV write frames straight into slots, once their size is known; a frame that lies elsewhere is copied."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None

    def target(self, into: memoryview) -> Image | None:
        """The array that OpenCV is to fill, or None for the first frame."""
        return None if self._shape is None else np.ndarray(self._shape, np.uint8, buffer=into)

    def put(self, image: Image, into: memoryview) -> tuple[int, int]:
        """Sees to it that a frame (H×W×3 uint8 BGR) lies in the slot; gives its width and height. Raises SourceError."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise SourceError(f"no colour picture but an array of {image.shape} {image.dtype}; set the camera's format")
        height, width = image.shape[:2]
        if image.nbytes > len(into):
            raise SourceError(f"a frame of {width}×{height} is too large; ask the camera for a smaller one")
        self._shape = image.shape
        slot: Image = np.ndarray(image.shape, np.uint8, buffer=into)
        if not np.shares_memory(slot, image):
            np.copyto(slot, image)
        return width, height
