"""Frames between two processes without a copy: slots of one anonymous memory file that both map.

The file is sparse: a slot costs what its frames fill, so one size serves every camera up to MAX_FRAME_BYTES.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # a camera's process that needs no OpenCV does not import it
    from edgetl.runtime.preprocess import Image

SLOTS = 8  # one being filled, up to four on their way through the loop, and some that a sink holds on to
MAX_FRAME_BYTES = 48_000_000  # 16 megapixels


def new_memory() -> int:
    """A descriptor of memory for SLOTS frames, without a name and gone with its last user."""
    fd = os.memfd_create("edgetl-frames")
    os.ftruncate(fd, SLOTS * MAX_FRAME_BYTES)
    return fd


class Ring:
    """The slots, as one process sees them."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SLOTS * MAX_FRAME_BYTES)

    def slot(self, number: int) -> memoryview:
        """A slot's bytes."""
        return memoryview(self._memory)[number * MAX_FRAME_BYTES : (number + 1) * MAX_FRAME_BYTES]

    def frame(self, number: int, height: int, width: int, done: Callable[[int], None]) -> Image:
        """The frame in a slot (H×W×3); `done` is called with the slot once nothing refers to the array or to a part
        of it any more."""
        image: Image = np.ndarray((height, width, 3), np.uint8, buffer=self.slot(number))
        weakref.finalize(image, done, number).atexit = False
        return image
