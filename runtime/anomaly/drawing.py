"""Draws distances over the picture that they are of."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.page.heatmap import laid_over
from edgetl.runtime.preprocess import Image, Preprocessing


def strength_of(distances: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """How strongly each place is drawn: not at all up to half the threshold, in full from one and a half."""
    smooth = cv2.blur(distances, (3, 3), borderType=cv2.BORDER_REFLECT)
    strength: NDArray[np.float32] = np.clip(smooth / threshold - 0.5, 0, 1).astype(np.float32)
    return strength


def on_frame(frame: Image, strength: NDArray[np.float32], how: Preprocessing) -> Image:
    """A frame (BGR) with the heat of the model's input laid over the part of it that the model saw."""
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = how.region or (0.0, 0.0, 1.0, 1.0)
    left, top = int(x0 * width), int(y0 * height)
    across, down = max(int(x1 * width) - left, 1), max(int(y1 * height) - top, 1)
    if how.resize == "fit-shortest":
        side = min(across, down)
        left, top, across, down = left + (across - side) // 2, top + (down - side) // 2, side, side
    if how.resize == "fit-longest":
        whole = cv2.resize(strength, (how.size, how.size), interpolation=cv2.INTER_LINEAR)
        strength = _without_padding(whole.astype(np.float32, copy=False), across / down)
    drawn = frame.copy()
    place = slice(top, top + down), slice(left, left + across)
    drawn[place] = laid_over(np.ascontiguousarray(frame[place][:, :, ::-1]), strength)
    return drawn


def _without_padding(strength: NDArray[np.float32], aspect: float) -> NDArray[np.float32]:
    """The part of a square map that lies on a picture of that width to height."""
    side = len(strength)
    rows, columns = (max(1, round(side * min(1.0, share))) for share in (1 / aspect, aspect))
    top, left = (side - rows) // 2, (side - columns) // 2
    return np.ascontiguousarray(strength[top : top + rows, left : left + columns])
