"""Random fields cut from one fixed bank, so that a texture costs a crop and a resize."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

_BANK_SIDE = 768


@lru_cache(maxsize=1)
def _bank() -> Field:
    rng = np.random.default_rng(20_011)
    return rng.standard_normal((_BANK_SIDE, _BANK_SIDE), dtype=np.float32)


def _crop(rng: np.random.Generator, height: int, width: int) -> Field:
    bank = _bank()
    if height > _BANK_SIDE or width > _BANK_SIDE:
        rows = (np.arange(height) + int(rng.integers(_BANK_SIDE))) % _BANK_SIDE
        columns = (np.arange(width) + int(rng.integers(_BANK_SIDE))) % _BANK_SIDE
        return np.asarray(bank[np.ix_(rows, columns)], dtype=np.float32)
    top = int(rng.integers(_BANK_SIDE - height + 1))
    left = int(rng.integers(_BANK_SIDE - width + 1))
    return bank[top : top + height, left : left + width]


def field(rng: np.random.Generator, shape: tuple[int, int], cell: float, tall: float | None = None) -> Field:
    """A height x width field of about unit variance; its features are `cell` pixels wide and `tall` high."""
    height, width = shape
    cell_y = cell if tall is None else tall
    rows = max(2, int(height / max(cell_y, 1.0)) + 2)
    columns = max(2, int(width / max(cell, 1.0)) + 2)
    coarse = _crop(rng, rows, columns)
    if (rows, columns) == (height + 2, width + 2):
        return coarse[:height, :width].copy()
    if cell > 12.0:
        # Cubic where the curve shows, linear for the rest: large features cost a quarter of the time.
        quarter = (-(-width // 4), height if cell_y <= 12.0 else -(-height // 4))
        return _resize(_resize(coarse, quarter, cv2.INTER_CUBIC), (width, height), cv2.INTER_LINEAR)
    return _resize(coarse, (width, height), cv2.INTER_CUBIC)


def _resize(coarse: Field, size: tuple[int, int], interpolation: int) -> Field:
    return np.asarray(cv2.resize(coarse, size, interpolation=interpolation), dtype=np.float32)


def cloud(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 3) -> Field:
    """Fractal sum of fields: each octave has half the feature size and half the strength."""
    total = field(rng, shape, cell)
    for octave in range(1, octaves):
        total += field(rng, shape, cell / 2**octave) * 0.5**octave
    return total


def line(rng: np.random.Generator, count: int, cell: float) -> Field:
    """`count` samples of one-dimensional noise with features `cell` samples long."""
    coarse = rng.standard_normal((1, max(2, int(count / cell) + 2)), dtype=np.float32)
    return _resize(coarse, (count, 1), cv2.INTER_CUBIC).reshape(count)


@lru_cache(maxsize=2)
def sensor_bank(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Positive and negative halves of a colour noise field: two height x width x 3 uint8 arrays."""
    rng = np.random.default_rng(20_012)
    tile = rng.normal(0.0, 1.7, (256, 256, 3)).astype(np.float32)
    # Demosaicing spreads the colour noise over neighbouring pixels but leaves luminance noise crisp.
    tile = 0.8 * np.asarray(cv2.blur(tile, (2, 2), borderType=cv2.BORDER_REFLECT), dtype=np.float32) * 1.6
    tile += rng.normal(0.0, 1.1, (256, 256, 1)).astype(np.float32)
    whole = np.rint(tile).astype(np.int8)
    rows, columns = np.arange(height) % 256, np.arange(width) % 256
    positive = np.clip(whole, 0, 127).astype(np.uint8)[np.ix_(rows, columns)]
    negative = np.clip(-whole, 0, 127).astype(np.uint8)[np.ix_(rows, columns)]
    return positive, negative
