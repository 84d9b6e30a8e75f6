"""A part lit by the station, ready to be laid over the belt."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, new_canvas, sheet_side
from .defects import damage, missing_hole
from .noise import Field
from .part import NOMINAL_RADIUS, Part
from .station import Station
from .surface import carve_body, drill, reflect


@dataclass(frozen=True)
class Sprite:
    """A drawn part: height x width x 3 uint8 colour (already weighted by its opacity) and transparency."""

    colour: NDArray[np.uint8]
    clear: NDArray[np.uint8]

    def lay(self, frame: NDArray[np.uint8], left: int, top: int) -> None:
        """Blend into a frame with the sprite's corner at (left, top), clipped to the frame."""
        rows, columns = self.colour.shape[:2]
        x0, x1 = max(left, 0), min(left + columns, frame.shape[1])
        y0, y1 = max(top, 0), min(top + rows, frame.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        under = frame[y0:y1, x0:x1]
        inner = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        cv2.multiply(under, self.clear[inner], dst=under, scale=1.0 / 255.0)
        cv2.add(under, self.colour[inner], dst=under)


def draw_sprite(
    part: Part, station: Station, height: int, motion: float, columns: tuple[int, int] | None = None
) -> Sprite:
    """Draw a part for a frame of `height` lines with `motion` pixels of smear along the belt.

    `columns` limits the drawing to a first and last+1 column of the whole sprite.
    """
    rng = np.random.default_rng(part.surface_seed)
    canvas = new_canvas(part_radius(part, height), columns)
    carve_body(canvas, part, station, rng)
    _dust(canvas, rng)
    drill(canvas, part, station, missing_hole(part))
    damage(canvas, part)
    layers = _develop(canvas, _light(canvas, part, station))
    spread = station.defocus * height / 480.0
    sigma = (float(np.hypot(spread, motion / 3.46)), spread)
    layers = np.asarray(cv2.GaussianBlur(layers, (0, 0), sigma[0], sigmaY=sigma[1]), dtype=np.uint8)
    colour = np.asarray(cv2.cvtColor(layers, cv2.COLOR_BGRA2BGR), dtype=np.uint8)
    clear = np.asarray(cv2.cvtColor(cv2.extractChannel(layers, 3), cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    return Sprite(colour, clear)


def part_radius(part: Part, height: int) -> float:
    """Outer radius in pixels."""
    return NOMINAL_RADIUS * part.size * height


def sprite_side(part: Part, height: int) -> int:
    return sheet_side(part_radius(part, height))


def _dust(canvas: Canvas, rng: np.random.Generator) -> None:
    """A few harmless specks on the face."""
    specks = np.zeros(canvas.shape, np.uint8)
    for _ in range(int(rng.integers(2, 9))):
        angle, radius = float(rng.uniform(0.0, 2.0 * np.pi)), float(rng.uniform(0.35, 0.97))
        column, row = canvas.position(radius * float(np.cos(angle)), radius * float(np.sin(angle)))
        size = float(rng.uniform(0.003, 0.0075)) / canvas.pixel
        spot = (int(16.0 * column), int(16.0 * row))
        cv2.circle(specks, spot, max(4, int(16.0 * size)), int(rng.integers(90, 230)), -1, cv2.LINE_AA, 4)
    weight = specks.astype(np.float32) * np.float32(1.0 / 255.0)
    tone = 0.45 if rng.random() < 0.5 else 0.04
    canvas.paint += (tone - canvas.paint) * weight
    np.maximum(canvas.paint_weight, weight, out=canvas.paint_weight)


def _light(canvas: Canvas, part: Part, station: Station) -> list[Field]:
    """Linear light leaving the part: one height x width plane for each of B, G, R."""
    ambient, lamp = reflect(canvas, part, station)
    _score(canvas, ambient, lamp)
    room = (1.04, 1.0, 0.95)
    planes = []
    for channel in range(3):
        steel = part.tint[channel]
        plane = ambient * (room[channel] * steel) + lamp * steel
        plane += canvas.paint_weight * (canvas.paint * steel - plane)
        if canvas.stain is not None:
            plane *= np.exp(-canvas.stain[..., channel])
        planes.append(plane)
    return planes


def _score(canvas: Canvas, ambient: Field, lamp: Field) -> None:
    """Light the scratches: torn metal glints between the highlights and is dull inside them."""
    if not canvas.groove.any():
        return
    around = np.asarray(cv2.blur(ambient + lamp, (9, 9)), dtype=np.float32)
    glare = np.clip((around - 0.30) / 0.12, 0.0, 1.0)
    floor = 0.85 - 0.82 * glare
    weight = np.minimum(1.3 * canvas.groove, 1.0)
    lamp += weight * (floor - lamp)
    ambient *= 1.0 - weight


def _develop(canvas: Canvas, light: list[Field]) -> NDArray[np.uint8]:
    """Encode linear light with a square-root curve; the fourth plane is transparency."""
    opaque = np.float32(255.0) * canvas.cover
    planes = []
    for plane in light:
        np.maximum(plane, 0.0, out=plane)
        encoded = np.sqrt(plane / (1.0 + 0.12 * plane)) * opaque
        planes.append(np.minimum(encoded, 255.0).astype(np.uint8))
    planes.append(((255.0 - opaque) * (1.0 - canvas.shade) + 0.5).astype(np.uint8))
    return np.asarray(cv2.merge(planes), dtype=np.uint8)
