"""Palettes: what colour each tone of a drawing gets. Each number is one palette; a third of them are nearly grey."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edgetl.runtime.sim.noise import Field

COUNT = 48
_WORLD = 8_021_978


@lru_cache(maxsize=COUNT)
def palette(number: int) -> Field:
    """256×3 RGB colours (0 to 255) for tones from 0 to 1."""
    rng = np.random.default_rng([_WORLD, number])
    saturation = rng.uniform(0, 25, 3) if number % 3 == 0 else rng.uniform(30, 230, 3)
    hue = rng.uniform(0, 180) + np.cumsum(rng.normal(0, 18, 3))
    light = np.linspace(rng.uniform(15, 110), rng.uniform(150, 250), 3)
    if rng.random() < 0.4:
        light = light[::-1]
    hsv = np.stack([hue % 180, saturation, light], axis=-1).astype(np.uint8)
    colours = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0].astype(np.float32)
    at = np.linspace(0, 1, 256)
    return np.stack([np.interp(at, (0, 0.5, 1), colours[:, n]) for n in range(3)], axis=1).astype(np.float32)


def coloured(tone: Field, number: int, strength: float = 1.0) -> Field:
    """A side×side×3 picture of a side×side field from 0 to 1; `strength` below 1 flattens it about its middle tone."""
    flat = np.clip(0.5 + (tone - 0.5) * np.float32(strength), 0, 1)
    return np.asarray(palette(number)[(flat * 255).astype(np.uint8)], np.float32)
