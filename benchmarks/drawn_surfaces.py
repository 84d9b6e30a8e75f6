"""Brushed metal with small defects, drawn by seed: grey, of many sizes, unlike the part that edgetl's own weights have learned from.

What tells the classes apart is a few pixels wide and may lie anywhere, on a grain that is much stronger. Frozen features of photographs
see little of it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

_Grey = NDArray[np.float32]
SIDES = ((60, 600), (60, 400))  # of a picture in pixels: least and most width and height


def _grain(rng: np.random.Generator, width: int, height: int) -> _Grey:
    """Grey values of a surface without defects: brushed along the rows, unevenly lit."""
    noise = rng.normal(0, 1, (height, width)).astype(np.float32)
    brushed = cv2.GaussianBlur(noise, (0, 0), sigmaX=float(rng.integers(5, 25)), sigmaY=1.0)
    cloudy = cv2.GaussianBlur(noise, (0, 0), sigmaX=20)
    light = rng.uniform(80, 150) + np.linspace(-1, 1, width)[None] * rng.uniform(-20, 20)
    brushed *= rng.uniform(5, 12) / brushed.std()
    cloudy *= rng.uniform(3, 10) / cloudy.std()
    return np.asarray(light + brushed + cloudy + rng.uniform(2, 6) * noise, np.float32)


def _somewhere(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A place (x, y) that is not at the border."""
    return np.array(rng.uniform(0.15, 0.85, 2) * (shape[1], shape[0]))


def _line(mask: _Grey, start: NDArray[np.float64], end: NDArray[np.float64], thickness: int) -> None:
    (x0, y0), (x1, y1) = start.astype(int).tolist(), end.astype(int).tolist()
    cv2.line(mask, (x0, y0), (x1, y1), 1.0, thickness)


def _scratch(rng: np.random.Generator, mask: _Grey) -> float:
    turn, centre = rng.uniform(0, np.pi), _somewhere(rng, mask.shape)
    half = rng.uniform(0.15, 0.5) * min(mask.shape) * np.array([np.cos(turn), np.sin(turn)])
    _line(mask, centre - half, centre + half, int(rng.integers(1, 3)))
    return float(rng.choice([-1, 1]) * rng.uniform(20, 50))


def _pits(rng: np.random.Generator, mask: _Grey) -> float:
    centre = _somewhere(rng, mask.shape)
    for _ in range(int(rng.integers(5, 20))):
        x, y = (centre + rng.normal(0, 0.1 * min(mask.shape), 2)).astype(int).tolist()
        cv2.circle(mask, (x, y), int(rng.integers(1, 3)), 1.0, -1)
    return float(-rng.uniform(25, 60))


def _patch(rng: np.random.Generator, mask: _Grey) -> float:
    x, y = _somewhere(rng, mask.shape).astype(int).tolist()
    across, along = (2 + rng.uniform(0.05, 0.15, 2) * min(mask.shape)).astype(int).tolist()
    cv2.ellipse(mask, (x, y), (across, along), float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    mask[:] = cv2.GaussianBlur(mask, (0, 0), 2)
    return float(rng.choice([-1, 1]) * rng.uniform(12, 30))


def _crack(rng: np.random.Generator, mask: _Grey) -> float:
    place, turn = _somewhere(rng, mask.shape), rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(8, 20))):
        turn += rng.normal(0, 0.6)
        onward = place + 0.04 * min(mask.shape) * np.array([np.cos(turn), np.sin(turn)])
        _line(mask, place, onward, 1)
        place = onward
    return float(-rng.uniform(30, 60))


def _fray(rng: np.random.Generator, mask: _Grey) -> float:
    width = mask.shape[1]
    first = int(rng.uniform(0, 0.6) * width)
    for column in range(first, min(width, first + int(0.35 * width)), 3):
        mask[: int(abs(rng.normal(0, 0.06)) * min(mask.shape)), column : column + 3] = 1
    if rng.random() < 0.5:
        mask[:] = mask[::-1].copy()
    return float(rng.uniform(40, 70))


# What each draws into a mask of zeros; it gives back how much lighter the surface is there.
_DEFECTS: dict[str, Callable[[np.random.Generator, _Grey], float]] = {
    "crack": _crack, "fray": _fray, "patch": _patch, "pits": _pits, "scratch": _scratch,
}  # fmt: skip
GOOD = "blank"
LABELS = (GOOD, *_DEFECTS)  # by name


def drawn_surface(label: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of one of LABELS: H×W uint8, of a size that is drawn too."""
    width, height = (int(rng.integers(least, most)) for least, most in SIDES)
    surface = _grain(rng, width, height)
    if label != GOOD:
        mask = np.zeros((height, width), np.float32)
        lighter = _DEFECTS[label](rng, mask)
        surface += lighter * cv2.GaussianBlur(mask, (0, 0), 0.7)
    seen = surface + rng.normal(0, 1, surface.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)
