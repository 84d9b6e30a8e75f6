"""Parts as outlines with holes: discs, rings, plates, gears, polygons, or a sheet that fills the picture."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Points = NDArray[np.float64]

KINDS = ("sheet", "disc", "ring", "plate", "gear", "polygon")
HOLE_COUNTS = (0, 2, 3, 4, 5, 6, 8)
_FINE = 4  # bits of a pixel that drawing functions take


class Form(msgspec.Struct, frozen=True):
    """One part in pixels: `outline` k×2 points (empty for a sheet), bore radius (0: none), k hole centres, their radius."""

    kind: str
    centre: tuple[float, float]
    radius: float
    outline: Points
    bore: float
    holes: Points
    hole_radius: float


def random_form(rng: np.random.Generator, side: int) -> Form:
    """A part somewhere about the middle of a side×side picture; a sheet fills it, mostly without holes."""
    kind = KINDS[int(rng.choice(len(KINDS), p=(0.50, 0.10, 0.12, 0.10, 0.09, 0.09)))]
    radius = side * float(rng.uniform(0.30, 0.46))
    centre = (side * float(rng.uniform(0.44, 0.56)), side * float(rng.uniform(0.44, 0.56)))
    turn = float(rng.uniform(0, 2 * np.pi))
    outline = _outline(rng, kind) * radius
    holes, hole_radius = _hole_pattern(rng, kind)
    if kind == "sheet" and rng.random() < 0.85:
        holes = holes[:0]
    bore = radius * float(rng.uniform(0.18, 0.48)) if kind == "ring" else 0.0
    return Form(kind, centre, radius, _place(outline, turn, centre), bore,
                _place(holes * radius, turn, centre), hole_radius * radius)  # fmt: skip


def cover(form: Form, side: int, skip: int | None = None) -> Mask:
    """A side×side mask, 255 where the part is solid, anti-aliased; the hole with index `skip` is left out."""
    mask = np.full((side, side), 255 if form.kind == "sheet" else 0, np.uint8)
    if len(form.outline):
        cv2.fillPoly(mask, [fixed(form.outline)], 255, cv2.LINE_AA, _FINE)
    if form.bore:
        disc(mask, form.centre, form.bore, 0)
    for index, (x, y) in enumerate(form.holes):
        if index != skip:
            disc(mask, (x, y), form.hole_radius, 0)
    return mask


def disc(mask: Mask, centre: tuple[float, float], radius: float, level: int) -> None:
    """Fills a circle, with places and sizes finer than a pixel."""
    x, y = (int(v * 2**_FINE) for v in centre)
    cv2.circle(mask, (x, y), max(1, int(radius * 2**_FINE)), level, -1, cv2.LINE_AA, _FINE)


def fixed(points: Points) -> NDArray[np.int32]:
    """Points as OpenCV's fixed-point numbers with 4 bits after the point."""
    return np.asarray(np.rint(points * 2**_FINE), np.int32)


def _place(points: Points, turn: float, centre: tuple[float, float]) -> Points:
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]) + centre)


def _on_circle(count: int, radius: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.asarray(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _outline(rng: np.random.Generator, kind: str) -> Points:
    """The outline for an outer radius of 1."""
    if kind == "sheet":
        return np.zeros((0, 2))
    if kind == "plate":
        return _plate(float(rng.uniform(0.45, 0.95)))
    if kind == "gear":
        return _gear(int(rng.integers(8, 25)), float(rng.uniform(0.72, 0.9)))
    if kind == "polygon":
        return _on_circle(int(rng.choice((3, 5, 6, 8))), 1.0)
    return _on_circle(96, 1.0)


def _plate(aspect: float) -> Points:
    corner = np.array([1.0, aspect]) / np.hypot(1.0, aspect)
    return np.asarray(np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * corner)


def _gear(teeth: int, root: float) -> Points:
    points = _on_circle(teeth * 4, 1.0)
    return np.asarray(points * np.repeat(np.tile([1.0, root], teeth), 2)[:, None])


def _hole_pattern(rng: np.random.Generator, kind: str) -> tuple[Points, float]:
    """Hole centres and their radius for an outer radius of 1; plates have them in rows."""
    size = float(rng.uniform(0.055, 0.115))
    if kind == "plate":
        columns = int(rng.choice((0, 1, 2, 3, 4)))
        rows = np.linspace(-0.62, 0.62, columns) if columns > 1 else np.zeros(columns)
        return np.array([[x, y] for x in rows for y in (-0.28, 0.28)]).reshape(-1, 2), size
    count = int(rng.choice((0, 3, 4, 5, 6, 6, 8)))
    reach = float(rng.uniform(0.56, 0.62)) if kind in ("gear", "polygon") else float(rng.uniform(0.66, 0.80))
    if kind == "polygon":
        reach *= 0.75
    return _on_circle(count, reach), size
