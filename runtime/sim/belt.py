"""The conveyor's rubber belt: weave, wear along the running direction, scuffs and dirt."""

import cv2
import numpy as np
from numpy.typing import NDArray

from . import noise
from .noise import Field
from .station import Station


def draw_belt(station: Station, height: int, length: int, motion: float) -> NDArray[np.uint8]:
    """A height x length x 3 uint8 stretch of belt, blurred as the station's lens and speed blur it."""
    rng = np.random.default_rng(station.belt_seed)
    scale = height / 480.0
    tone = _weave(height, length, scale) + _rubber(rng, height, length, scale)
    _scuff(rng, tone, scale)
    _dirt(rng, tone, scale)
    spread = station.defocus * scale
    along = float(np.hypot(spread, motion / 3.46))
    tone = np.asarray(cv2.GaussianBlur(tone, (0, 0), along, sigmaY=spread), dtype=np.float32)
    planes = [np.clip(tone * (c / 50.0) + c, 0.0, 255.0).astype(np.uint8) for c in station.belt_colour]
    return np.asarray(cv2.merge(planes), dtype=np.uint8)


def draw_loop(station: Station, height: int, length: int, overlap: int, motion: float) -> NDArray[np.uint8]:
    """An endless belt: height x (length + overlap) x 3, whose first and last `overlap` columns are equal."""
    seam = min(length // 4, 160)
    belt = draw_belt(station, height, length + seam, motion)
    fade = np.linspace(1.0, 0.0, seam, dtype=np.float32)[None, :, None]
    head, tail = belt[:, :seam].astype(np.float32), belt[:, length:].astype(np.float32)
    belt[:, :seam] = (tail * fade + head * (1.0 - fade)).astype(np.uint8)
    turns = -(-(length + overlap) // length)
    return np.ascontiguousarray(np.concatenate([belt[:, :length]] * turns, axis=1)[:, : length + overlap])


def _weave(height: int, length: int, scale: float) -> Field:
    pitch = 2.0 * np.pi / max(6.0 * scale, 3.0)
    warp = np.sin(np.arange(length, dtype=np.float32) * np.float32(pitch))
    weft = np.sin(np.arange(height, dtype=np.float32) * np.float32(pitch * 0.86))
    return np.asarray(4.6 * np.outer(weft, warp), dtype=np.float32)


def _rubber(rng: np.random.Generator, height: int, length: int, scale: float) -> Field:
    shape = (height, length)
    grain = 4.2 * noise.field(rng, shape, 1.0) + 2.4 * noise.field(rng, shape, 3.2 * scale)
    wear = 1.3 * noise.field(rng, shape, 260.0 * scale, 3.0 * scale)
    wear += 1.6 * noise.field(rng, shape, 320.0 * scale, 16.0 * scale)
    wear += 3.0 * noise.field(rng, shape, 110.0 * scale)
    return np.add(grain, wear, dtype=np.float32)


def _scuff(rng: np.random.Generator, tone: Field, scale: float) -> None:
    """Faint pale rub marks, mostly along the running direction."""
    height, length = tone.shape
    marks = np.zeros((height, length), np.uint8)
    for _ in range(int(rng.integers(5, 10) * length / 640.0 + 1)):
        angle = float(rng.normal(0.0, 20.0))
        reach = float(rng.uniform(20.0, 130.0)) * scale
        axes = (int(reach * 2.0), max(2, int(reach * float(rng.uniform(0.05, 0.5)))))
        middle = (int(rng.integers(length)), int(rng.integers(height)))
        start = float(rng.uniform(0.0, 360.0))
        stop = start + float(rng.uniform(8.0, 45.0))
        level, thick = int(rng.integers(40, 150)), int(rng.integers(1, 3))
        cv2.ellipse(marks, middle, axes, angle, start, stop, level, thick, cv2.LINE_AA)
    tone += marks.astype(np.float32) * np.float32(0.11)


def _dirt(rng: np.random.Generator, tone: Field, scale: float) -> None:
    """Pale dust, dark crumbs and a few soft oil spots."""
    height, length = tone.shape
    for _ in range(int(rng.integers(14, 40) * length / 640.0)):
        spot = (int(rng.integers(length)) * 16, int(rng.integers(height)) * 16)
        size = max(5, int(16.0 * scale * float(rng.uniform(0.4, 1.5))))
        level = float(rng.uniform(12.0, 60.0)) if rng.random() < 0.65 else float(rng.uniform(-30.0, -12.0))
        cv2.circle(tone, spot, size, level, -1, cv2.LINE_8, 4)
    soft = np.clip(noise.field(rng, (height, length), 60.0 * scale) - 1.5, 0.0, 1.0)
    tone -= 9.0 * soft
