"""Contract 1: the one function that turns a BGR frame into a model's input.

Training, evaluation, calibration, parity and the device all call `preprocess`; there is no second one. What it
does is described by `Preprocessing`, which travels in the bundle. Mean and standard deviation live inside the
model's graph, so what leaves here are raw pixels.
"""

from __future__ import annotations

import threading
from typing import Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import FrameError, UsageError

Image = NDArray[np.uint8]

PAD_VALUE = 128  # mid grey: what `fit-longest` puts beside the picture


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a frame becomes the model's input.

    `region` is (x0, y0, x1, y1) as fractions of the frame's width and height, so that it means the same on a
    camera of another resolution; None is the whole frame. `resize`: `squash` stretches the region to the square,
    `fit-shortest` cuts the longer side at both ends, `fit-longest` pads the shorter side with mid grey.
    """

    size: int = 224
    resize: Literal["squash", "fit-shortest", "fit-longest"] = "squash"
    region: tuple[float, float, float, float] | None = None
    interpolation: Literal["halve-then-bilinear", "nearest"] = "halve-then-bilinear"
    colour: Literal["rgb", "grey"] = "rgb"

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096:
            raise UsageError(f"preprocessing size {self.size} px is outside 16 to 4096")
        if self.region is None:
            return
        x0, y0, x1, y1 = self.region
        if not (0.0 <= x0 < x1 <= 1.0 and 0.0 <= y0 < y1 <= 1.0):
            raise UsageError(f"region {self.region} must satisfy 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1")


def check_frame(frame: object) -> Image:
    """Returns `frame` if it is an H×W×3 uint8 array, as OpenCV gives frames; raises FrameError otherwise."""
    if not isinstance(frame, np.ndarray):
        raise FrameError(f"a frame must be a numpy array, got {type(frame).__name__}")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or min(frame.shape[:2]) < 1:
        raise FrameError(f"a frame must be H×W×3 uint8 BGR, got shape {frame.shape} of {frame.dtype}")
    return frame


def preprocess(frame: Image, how: Preprocessing) -> Image:
    """Turns a frame (H×W×3 uint8 BGR) into the model's input (size×size×3 uint8 RGB, C-contiguous)."""
    region = _cut(check_frame(frame), how.region)
    if how.resize == "fit-shortest":
        region = _middle_square(region)
    if how.resize == "fit-longest":
        image = _padded(region, how)
    else:
        image = _resized(region, how.size, how.size, how.interpolation)
    if how.colour == "grey":
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    rgb: Image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb


def _cut(frame: Image, region: tuple[float, float, float, float] | None) -> Image:
    if region is None:
        return frame
    height, width = frame.shape[:2]
    x0, x1 = int(region[0] * width), max(int(region[2] * width), int(region[0] * width) + 1)
    y0, y1 = int(region[1] * height), max(int(region[3] * height), int(region[1] * height) + 1)
    return frame[y0:y1, x0:x1]


def _middle_square(image: Image) -> Image:
    height, width = image.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return image[y : y + side, x : x + side]


def _padded(image: Image, how: Preprocessing) -> Image:
    height, width = image.shape[:2]
    scale = how.size / max(height, width)
    small_h, small_w = max(1, round(height * scale)), max(1, round(width * scale))
    out = np.full((how.size, how.size, 3), PAD_VALUE, np.uint8)
    y, x = (how.size - small_h) // 2, (how.size - small_w) // 2
    out[y : y + small_h, x : x + small_w] = _resized(image, small_w, small_h, how.interpolation)
    return out


def _resized(image: Image, width: int, height: int, interpolation: str) -> Image:
    if interpolation == "nearest":
        nearest: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return nearest
    return _bilinear(_halved(image, width, height), width, height)


def _bilinear(image: Image, width: int, height: int, into: Image | None = None) -> Image:
    # The exact variants give the same bits on every processor; INTER_LINEAR may go through IPP on x86 and then differs.
    resized: Image = cv2.resize(image, (width, height), into, interpolation=cv2.INTER_LINEAR_EXACT)
    return resized


class _Halves(threading.local):
    """Memory that the halvings of a thread go to and fro between: half a frame anew for each one would cost page faults,
    and none of it ever leaves this module."""

    def __init__(self) -> None:
        self._memory = [bytearray(), bytearray()]

    def take(self, turn: int, width: int, height: int) -> Image:
        """An array of that size with any content, which the next but one call may use again."""
        if len(self._memory[turn % 2]) < width * height * 3:
            self._memory[turn % 2] = bytearray(width * height * 3)
        return np.ndarray((height, width, 3), np.uint8, buffer=self._memory[turn % 2])


_halves = _Halves()


def _halved(image: Image, width: int, height: int) -> Image:
    """Halves each side while it is at least twice too long.

    Bilinear alone, straight to the model's size, would skip pixels, and with them thin scratches. At exactly half the
    size it averages whole pairs; an odd last row or column is left out for that. Resizing by area gives the same but
    takes 2.5 times as long where only one side is halved, and three times as long straight from 720p.
    """
    turn = 0
    while image.shape[1] >= 2 * width or image.shape[0] >= 2 * height:
        fx = 2 if image.shape[1] >= 2 * width else 1
        fy = 2 if image.shape[0] >= 2 * height else 1
        w, h = image.shape[1] // fx, image.shape[0] // fy
        image = _bilinear(image[: h * fy, : w * fx], w, h, _halves.take(turn, w, h))
        turn += 1
    return image
