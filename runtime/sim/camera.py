"""The camera: turns a scene into the frame that the application receives."""

import cv2
import numpy as np
from numpy.typing import NDArray

from . import noise
from .station import Station

Image = NDArray[np.uint8]

_SHIFT = 48


def smear(speed: float) -> float:
    """Pixels of motion during one strobed exposure (0.35 ms) at a belt speed in pixels per second."""
    return 0.35e-3 * speed


class Camera:
    """Lens shading, sensor noise and tone curve of one station."""

    def __init__(self, station: Station, width: int, height: int) -> None:
        self._station = station
        self._shading = _lens_shading(station, width, height)
        self._size = (height, width)
        self._noise = noise.sensor_bank(height + _SHIFT, width + _SHIFT)

    def expose(self, scene: Image, rng: np.random.Generator, light: float = 1.0) -> Image:
        """Turn a height x width x 3 scene into a frame, in place; `light` is a linear brightness factor."""
        cv2.multiply(scene, self._shading, dst=scene, scale=1.0 / 255.0)
        height, width = self._size
        for operation, bank in zip((cv2.add, cv2.subtract), self._noise, strict=True):
            top, left = (int(v) for v in rng.integers(_SHIFT, size=2))
            operation(scene, bank[top : top + height, left : left + width], dst=scene)
        cv2.LUT(scene, self._curve(light), dst=scene)
        return scene

    def _curve(self, light: float) -> Image:
        """Tone curve, 1 x 256 x 3: exposure and white balance with a soft shoulder near white."""
        level = np.linspace(0.0, 1.0, 256)[:, None]
        gain = np.sqrt(np.array(self._station.colour) * self._station.exposure * max(light, 0.0))
        value = level * gain * 1.06
        value = np.where(value > 0.8, 0.8 + 0.2 * np.tanh((value - 0.8) / 0.2), value)
        return np.asarray(np.rint(value * 255.0)[None], dtype=np.uint8)


def _lens_shading(station: Station, width: int, height: int) -> Image:
    across = (np.arange(width, dtype=np.float32) - width / 2.0) / height - np.float32(station.centre[0])
    down = (np.arange(height, dtype=np.float32) - height / 2.0) / height - np.float32(station.centre[1])
    span = across[None] ** 2 + down[:, None] ** 2
    plane = (255.0 * (1.0 - station.vignette * np.minimum(span / 0.7, 1.5))).astype(np.uint8)
    return np.asarray(cv2.merge([plane, plane, plane]), dtype=np.uint8)
