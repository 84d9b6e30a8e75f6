"""The four defects: each writes to a part's canvas before it is lit."""

import cv2
import numpy as np
from numpy.typing import NDArray

from . import noise
from .canvas import Canvas
from .noise import Field
from .part import BOLT_CIRCLE, BORE, HOLE, HOLES, HUB, Part, hole_centres

# Scratches are traced on a grid this many times finer than the sheet.
_FINE = 3

_STAINS = (
    # B, G, R density, share of diffuse rust colour
    ((1.25, 0.95, 0.70), 0.0),
    ((1.90, 1.25, 0.62), 0.10),
    ((1.15, 1.05, 0.95), 0.0),
)


def missing_hole(part: Part) -> int | None:
    """Index of the bolt hole that was not drilled, or None."""
    if part.label != "missing_hole":
        return None
    return int(np.random.default_rng(part.defect_seed).integers(HOLES))


def damage(canvas: Canvas, part: Part) -> None:
    """Draw the part's defect, if its label has one."""
    rng = np.random.default_rng(part.defect_seed)
    if part.label == "scratch":
        _scratch(canvas, rng)
    elif part.label == "chip":
        _chip(canvas, rng)
    elif part.label == "missing_hole":
        _dimple(canvas, part, rng)
    elif part.label == "stain":
        _stain(canvas, rng)


def _scratch(canvas: Canvas, rng: np.random.Generator) -> None:
    strength = float(rng.uniform(0.92, 1.0))
    for _ in range(1 + int(rng.random() < 0.35)):
        _score(canvas, rng, strength)
        strength *= float(rng.uniform(0.6, 0.95))


def _scratch_path(rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (x, y) of a scratch that crosses the face at an angle to the turning marks."""
    length = float(rng.uniform(0.95, 1.5))
    place, radius = float(rng.uniform(0.0, 2.0 * np.pi)), float(rng.uniform(0.62, 0.86))
    slant = float(rng.uniform(0.3, 1.3)) * (1.0 if rng.random() < 0.5 else -1.0)
    heading = place + np.pi / 2.0 + slant
    bend = float(rng.normal(0.0, 0.6)) + 1.0 * noise.line(rng, 48, 12.0).astype(np.float64)
    headings = heading + np.cumsum(bend) * length / 48.0
    headings -= headings[24] - heading
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / 48.0)
    path = np.cumsum(steps, axis=0)
    start = np.array([np.cos(place), np.sin(place)]) * radius
    return np.asarray(start + path - path[24])


def _score(canvas: Canvas, rng: np.random.Generator, strength: float) -> None:
    path = _scratch_path(rng)
    depth = np.clip(0.9 + 0.3 * noise.line(rng, len(path), 7.0), 0.45, 1.0)
    taper = np.clip(np.minimum(np.arange(48), np.arange(48)[::-1]) / 6.0, 0.2, 1.0)
    width = _FINE * float(rng.uniform(0.020, 0.032)) / canvas.pixel
    rows, columns = canvas.shape
    trace = np.zeros((rows * _FINE, columns * _FINE), np.uint8)
    places = [canvas.position(float(x), float(y)) for x, y in path]
    points = [(int(16 * _FINE * (x + 0.5)), int(16 * _FINE * (y + 0.5))) for x, y in places]
    for index in range(len(points) - 1):
        level = int(255.0 * depth[index] * taper[index])
        thick = max(2, round(width * float(depth[index] * taper[index] ** 0.5)))
        cv2.line(trace, points[index], points[index + 1], level, thick, cv2.LINE_AA, 4)
    groove = np.asarray(cv2.resize(trace, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
    groove *= np.float32(strength / 255.0) * canvas.mask(canvas.r - 0.99)
    _plough(canvas, groove)


def _plough(canvas: Canvas, groove: Field) -> None:
    """Turn a groove's depth into slopes, a torn floor and a shaded burr beside it."""
    slope_x = np.asarray(cv2.Sobel(groove, cv2.CV_32F, 1, 0, scale=0.125), dtype=np.float32)
    slope_y = np.asarray(cv2.Sobel(groove, cv2.CV_32F, 0, 1, scale=0.125), dtype=np.float32)
    canvas.lean_x += 0.5 * slope_x
    canvas.lean_y += 0.5 * slope_y
    canvas.scatter += groove
    np.maximum(canvas.groove, groove, out=canvas.groove)
    burr = np.roll(groove, (1, 2), (0, 1)) * (1.0 - groove)
    canvas.albedo *= 1.0 - 0.4 * burr


def _chip(canvas: Canvas, rng: np.random.Generator) -> None:
    at_rim = bool(rng.random() < 0.68)
    depth = float(rng.uniform(0.16, 0.26)) if at_rim else float(rng.uniform(0.12, 0.18))
    half = depth * float(rng.uniform(1.2, 2.0))
    angle, edge = float(rng.uniform(0.0, 2.0 * np.pi)), 1.0 if at_rim else BORE
    x, y = edge * float(np.cos(angle)), edge * float(np.sin(angle))
    where = canvas.region(x, y, 1.5 * half + 0.03)
    u, v = canvas.x[where] - x, canvas.y[where] - y
    if not u.size:
        return
    radial = (u * float(np.cos(angle)) + v * float(np.sin(angle))) * (-1.0 if at_rim else 1.0)
    tangent = v * float(np.cos(angle)) - u * float(np.sin(angle))
    skew = float(rng.uniform(-0.5, 0.5))
    span = np.sqrt((radial / depth) ** 2 + ((tangent + skew * radial) / half) ** 2)
    rough = noise.cloud(rng, (u.shape[0], u.shape[1]), 0.075 / canvas.pixel, 3)
    _break_off(canvas, rng, where, (span - 1.0 + 0.10 * rough) * depth, depth)
    # A bite in the rim lets the lamp in, a bite in the bore stays in its shadow.
    bitten = canvas.mask((span - 1.0) * depth) * (canvas.r[where] < 1.0)
    canvas.shade[where] += bitten * ((0.36 if at_rim else 0.62) - canvas.shade[where])


def _break_off(
    canvas: Canvas, rng: np.random.Generator, where: tuple[slice, slice], distance: Field, depth: float
) -> None:
    """Remove the face where the distance is negative; deeper inside, the belt shows."""
    shape = (distance.shape[0], distance.shape[1])
    gone = canvas.mask(distance) * canvas.cover[where]
    ledge = float(rng.uniform(0.22, 0.42)) * depth
    wave = 0.007 * noise.cloud(rng, shape, 0.06 / canvas.pixel, 2)
    hollow = canvas.mask(distance + ledge + wave)
    grain = noise.field(rng, shape, 1.0) * 0.5 + noise.field(rng, shape, 0.024 / canvas.pixel)
    fracture = np.clip(0.34 + 0.17 * grain + 2.0 * (distance + 0.5 * ledge), 0.05, 0.95)
    lip = np.clip(1.0 - np.abs(distance) / 0.011, 0.0, 1.0)
    canvas.paint[where] += gone * (fracture + 0.2 * lip - canvas.paint[where])
    solid = canvas.paint_weight[where] < 0.5
    canvas.paint_weight[where] = np.maximum(canvas.paint_weight[where], gone * solid)
    canvas.cover[where] *= 1.0 - hollow
    canvas.albedo[where] *= 1.0 - 0.25 * np.clip(1.0 - distance / 0.03, 0.0, 1.0) * (1.0 - gone)


def _dimple(canvas: Canvas, part: Part, rng: np.random.Generator) -> None:
    """In half of the cases the drill touched the face and left a shallow blind spot."""
    index = int(rng.integers(HOLES))
    if rng.random() < 0.5:
        return
    x, y = hole_centres(part)[index]
    radius = HOLE * float(rng.uniform(0.35, 0.85))
    where = canvas.region(x, y, radius + 0.02)
    u, v = canvas.x[where] - x, canvas.y[where] - y
    span = np.sqrt(u * u + v * v)
    dent = canvas.mask(span - radius, 1.5)
    steep = 0.40 * span / radius
    for lean, offset in ((canvas.lean_x, u), (canvas.lean_y, v)):
        lean[where] += dent * (-steep * offset / (span + 1e-4) - lean[where])
    canvas.scatter[where] += 0.65 * dent
    canvas.albedo[where] *= 1.0 - 0.30 * dent * (1.0 - span / radius)


def _stain(canvas: Canvas, rng: np.random.Generator) -> None:
    colour, rust = _STAINS[int(rng.integers(len(_STAINS)))]
    angle = float(rng.uniform(0.0, 2.0 * np.pi))
    place = float(rng.uniform(0.5 * (BORE + HUB) + 0.1, BOLT_CIRCLE + 0.12))
    size = float(rng.uniform(0.24, 0.40))
    strength = float(rng.uniform(1.3, 1.8))
    x, y = place * float(np.cos(angle)), place * float(np.sin(angle))
    where = canvas.region(x, y, 1.9 * size)
    u, v = canvas.x[where] - x, canvas.y[where] - y
    if not u.size:
        return
    shape = (u.shape[0], u.shape[1])
    turn, squash = float(rng.uniform(0.0, np.pi)), float(rng.uniform(1.0, 1.6))
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    span = np.sqrt((u * cos + v * sin) ** 2 / squash + (v * cos - u * sin) ** 2 * squash) / size
    ragged = 1.0 - span + 0.26 * noise.cloud(rng, shape, 0.7 * size / canvas.pixel, 3)
    body = np.clip(ragged / 0.5, 0.0, 1.0)
    dried = np.clip(1.0 - np.abs(ragged - 0.2) / 0.16, 0.0, 1.0)
    mottle = np.clip(0.85 + 0.14 * noise.cloud(rng, shape, 0.12 / canvas.pixel, 3), 0.4, 1.4)
    density = strength * (0.8 * body * body * (3.0 - 2.0 * body) + 0.22 * dried) * mottle
    canvas.stain = np.zeros((*canvas.shape, 3), np.float32)
    canvas.stain[where] = density[..., None] * np.array(colour, np.float32)
    canvas.scatter[where] += (0.12 + 2.0 * rust) * np.clip(density, 0.0, 1.0)
