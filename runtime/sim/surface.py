"""Turned steel: the relief of a flawless part and how it reflects the station's lamp."""

import cv2
import numpy as np

from . import noise
from .canvas import REACH, Canvas
from .noise import Field
from .part import BORE, CHAMFER, COUNTERSINK, HOLE, HUB, HUB_STEP, THICKNESS, Part, hole_centres
from .station import Station

_TABLE = 2048
_TABLE_REACH = REACH * 1.4143


def _ramp(low: float, high: float) -> Field:
    radius = np.arange(_TABLE, dtype=np.float32) * np.float32(_TABLE_REACH / _TABLE)
    return ((radius >= low) & (radius < high)).astype(np.float32)


def _lookup(canvas: Canvas, table: Field) -> Field:
    index = (canvas.r * np.float32(_TABLE / _TABLE_REACH)).astype(np.int32)
    return np.asarray(np.take(table, index, mode="clip"), dtype=np.float32)


def _smooth(table: Field, pixel: float) -> Field:
    sigma = 0.7 * pixel * _TABLE / _TABLE_REACH
    blurred = np.asarray(cv2.GaussianBlur(table[None], (0, 0), sigma), dtype=np.float32)
    return blurred.reshape(_TABLE)


def _profile(pixel: float) -> tuple[Field, Field]:
    """Radial slope and reflectance of the chamfers, the hub's step and the sealing groove."""
    slope = 0.50 * _ramp(1.0 - CHAMFER, 1.1) + 0.62 * _ramp(HUB, HUB + HUB_STEP)
    slope -= 0.50 * _ramp(0.0, BORE + CHAMFER)
    slope += 0.30 * _ramp(0.892, 0.902) - 0.30 * _ramp(0.902, 0.912)
    tone = 1.0 - 0.35 * _ramp(HUB + HUB_STEP, HUB + HUB_STEP + 0.014) - 0.18 * _ramp(0.894, 0.910)
    return _smooth(slope, pixel), _smooth(tone, pixel * 1.3)


def _turning_marks(rng: np.random.Generator, pixel: float) -> Field:
    """Slope of the tool's fine rings along the radius."""
    step = pixel * _TABLE / _TABLE_REACH
    rings = 0.6 * noise.line(rng, _TABLE, 1.6 * step) + 0.7 * noise.line(rng, _TABLE, 4.0 * step)
    rings += 0.6 * noise.line(rng, _TABLE, 14.0 * step)
    return rings


def _brushing(rng: np.random.Generator, canvas: Canvas) -> Field:
    """Streaks along the turning direction, unit variance: a polar texture wrapped around the part."""
    rings = 448
    streaks = noise.field(rng, (rings, 192), 4.0, 1.0) * 0.85
    streaks += noise.field(rng, (rings, 192), 24.0, 2.0) * 0.7
    turn = np.asarray(cv2.phase(canvas.cos, canvas.sin), dtype=np.float32)
    turn *= np.float32(382.0 / (2.0 * np.pi))
    # Mirrored at half a turn, so that the texture has no seam.
    turn = np.float32(191.0) - np.abs(turn - np.float32(191.0))
    rows = canvas.r * np.float32(rings / _TABLE_REACH)
    return np.asarray(cv2.remap(streaks, turn, rows, cv2.INTER_LINEAR), dtype=np.float32)


def carve_body(canvas: Canvas, part: Part, station: Station, rng: np.random.Generator) -> None:
    """Outline, chamfers, turning marks, brushing and the shadow around the part and in its bore."""
    slope, tone = _profile(canvas.pixel)
    # A chamfer's own tool marks are short: it glints all along the side that faces the lamp.
    chamfers = np.minimum(1.1 * np.abs(slope), 0.5)
    marks = _turning_marks(rng, canvas.pixel)
    slope += (0.055 * part.finish) * marks
    tone *= 1.0 + 0.03 * marks
    lean = _lookup(canvas, slope)
    canvas.scatter += _lookup(canvas, chamfers)
    streak = _brushing(rng, canvas)
    lean += np.float32(0.07 * part.finish) * streak
    canvas.lean_x += lean * canvas.cos
    canvas.lean_y += lean * canvas.sin
    canvas.albedo *= _lookup(canvas, tone) * (1.0 + np.float32(0.045) * streak)
    canvas.albedo *= 1.0 + np.float32(0.022) * noise.cloud(rng, canvas.shape, 0.5 / canvas.pixel, 2)
    canvas.albedo *= 1.0 + np.float32(0.025) * noise.field(rng, canvas.shape, 1.0)
    canvas.cover[:] = canvas.mask(canvas.r - 1.0)
    _shade_around(canvas, station)
    _open(canvas, station, 0.0, 0.0, BORE)


def _shade_around(canvas: Canvas, station: Station) -> None:
    throw = 0.45 * THICKNESS
    dx, dy = float(np.cos(station.azimuth)) * throw, float(np.sin(station.azimuth)) * throw
    away = np.asarray(cv2.magnitude(canvas.x + dx, canvas.y + dy), dtype=np.float32) - 0.985
    soft = np.clip(1.0 - away / 0.115, 0.0, 1.0)
    contact = np.clip(1.0 - (canvas.r - 1.0) / 0.05, 0.0, 1.0)
    canvas.shade[:] = np.maximum(0.62 * soft * soft * (3.0 - 2.0 * soft), 0.5 * contact * contact)


def _open(canvas: Canvas, station: Station, x: float, y: float, radius: float) -> None:
    """Cut a through hole: the belt shows, dimmed, beside a sliver of the inner wall."""
    where = canvas.region(x, y, radius + 0.02)
    u, v = canvas.x[where] - x, canvas.y[where] - y
    span = np.sqrt(u * u + v * v)
    inside = canvas.mask(span - radius)
    # Seen from above, the hole's lower edge lies nearer to the optical axis than its upper edge.
    near = 1.0 - 0.30 * THICKNESS
    lower = np.sqrt((u + x * (1.0 - near)) ** 2 + (v + y * (1.0 - near)) ** 2)
    through = canvas.mask(lower - radius * near) * inside
    lamp_x, lamp_y = float(np.cos(station.azimuth)), float(np.sin(station.azimuth))
    facing = -(u * lamp_x + v * lamp_y) / (span + 1e-4)
    wall = 0.05 + 0.20 * np.clip(facing, 0.0, 1.0) ** 2
    throw = 0.55 * THICKNESS
    lit = np.sqrt((u + lamp_x * throw) ** 2 + (v + lamp_y * throw) ** 2)
    reach = 0.8 * THICKNESS
    light = np.clip(0.5 - (lit - radius) / reach, 0.0, 1.0)
    canvas.shade[where] += inside * (0.86 - 0.50 * light - canvas.shade[where])
    canvas.cover[where] *= 1.0 - through
    canvas.paint[where] += inside * (wall - canvas.paint[where])
    np.maximum(canvas.paint_weight[where], inside, out=canvas.paint_weight[where])


def drill(canvas: Canvas, part: Part, station: Station, skip: int | None = None) -> None:
    """Drill the countersunk bolt holes, leaving out the one with index `skip`."""
    for index, (x, y) in enumerate(hole_centres(part)):
        if index != skip and canvas.x[canvas.region(x, y, HOLE + COUNTERSINK)].size:
            _countersink(canvas, x, y)
            _open(canvas, station, x, y, HOLE)


def _countersink(canvas: Canvas, x: float, y: float) -> None:
    where = canvas.region(x, y, HOLE + COUNTERSINK + 0.02)
    u, v = canvas.x[where] - x, canvas.y[where] - y
    span = np.sqrt(u * u + v * v) + np.float32(1e-5)
    rim = canvas.mask(span - (HOLE + COUNTERSINK), 1.4)
    canvas.lean_x[where] *= 1.0 - rim
    canvas.lean_y[where] *= 1.0 - rim
    canvas.lean_x[where] -= rim * 0.42 * u / span
    canvas.lean_y[where] -= rim * 0.42 * v / span
    canvas.scatter[where] += rim * 0.35


def reflect(canvas: Canvas, part: Part, station: Station) -> tuple[Field, Field]:
    """Ambient and lamp light leaving the steel towards the camera, in linear units.

    Grooves run along the turning direction, so the lobe is narrow along it and wide across it: that is
    what makes the bright bow tie that follows the lamp and not the part.
    """
    across = canvas.lean_x * canvas.cos + canvas.lean_y * canvas.sin
    along = canvas.lean_y * canvas.cos - canvas.lean_x * canvas.sin
    sparkle = across * np.float32(0.09)
    lamp = np.zeros_like(across)
    for azimuth, strength, width in (
        (station.azimuth, station.key, 0.085),
        (station.fill_azimuth, station.fill, 0.12),
    ):
        half_x, half_y = float(np.cos(azimuth)) * station.tilt, float(np.sin(azimuth)) * station.tilt
        spread = width * (0.8 + 0.2 * part.finish)
        ht = (half_y * canvas.cos - half_x * canvas.sin - along + sparkle) / spread
        hb = (half_x * canvas.cos + half_y * canvas.sin - 0.07 * canvas.r - across) / 0.34
        lobe = 1.0 / (1.0 + ht * ht + hb * hb)
        lamp += strength * lobe * (0.11 + 0.89 * lobe)
    steep = canvas.lean_x**2 + canvas.lean_y**2
    towards = canvas.lean_x * float(np.cos(station.azimuth)) + canvas.lean_y * float(np.sin(station.azimuth))
    ambient = station.ambient * np.clip(1.0 - 0.9 * steep + 0.55 * towards, 0.15, 2.0)
    # A torn or roughened spot scatters the lamp evenly instead of along the bow tie.
    even = (0.12 + 0.7 * np.clip(towards, 0.0, 1.0)) * station.key
    lamp += np.clip(canvas.scatter, 0.0, 1.0) * (even - lamp)
    return ambient * canvas.albedo, lamp * canvas.albedo
