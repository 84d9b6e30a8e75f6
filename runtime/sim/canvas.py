"""The drawing sheet of one part: coordinates and the layers that surface and defects write to."""

from dataclasses import dataclass

import cv2
import numpy as np

from .noise import Field

# Half the side of a sheet in outer radii: leaves room for the shadow around the part.
REACH = 1.17

Region = tuple[slice, slice]

# Freeing one large block raises glibc's limit above which each array is mapped afresh from the system;
# without it, page faults take half of the drawing time.
np.empty(12 << 20, np.uint8)


@dataclass
class Canvas:
    """Layers of a part's sheet, each height x width float32; lengths are in outer radii.

    x and y run from the part's centre, pixel is the length of one pixel. lean_x and lean_y are the surface
    normal's slope, albedo scales reflectance, cover is 1 where something solid hides the belt, shade is the
    shadow on the belt where it is open, paint (with paint_weight) replaces the steel's own light, scatter
    is the share of light that the turning marks do not steer, groove the depth of scratches, and stain
    (B, G, R) optical density.
    """

    pixel: float
    left: int
    side: int
    x: Field
    y: Field
    r: Field
    cos: Field
    sin: Field
    lean_x: Field
    lean_y: Field
    albedo: Field
    cover: Field
    shade: Field
    paint: Field
    paint_weight: Field
    scatter: Field
    groove: Field
    stain: Field | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return (self.x.shape[0], self.x.shape[1])

    def region(self, x: float, y: float, reach: float) -> Region:
        """The part of the sheet within `reach` of (x, y), clipped to the sheet (may be empty)."""
        column, row = self.position(x, y)
        span = reach / self.pixel + 1.0
        rows, columns = self.shape
        top, bottom = (int(np.clip(row + s, 0, rows)) for s in (-span, span + 1.0))
        left, right = (int(np.clip(column + s, 0, columns)) for s in (-span, span + 1.0))
        return (slice(top, bottom), slice(left, right))

    def position(self, x: float, y: float) -> tuple[float, float]:
        """Column and row of a point."""
        centre = (self.side - 1) / 2.0
        return (x / self.pixel + centre - self.left, y / self.pixel + centre)

    def mask(self, distance: Field, softness: float = 1.0) -> Field:
        """1 where the signed distance is negative, anti-aliased over `softness` pixels."""
        return np.clip(0.5 - distance / (self.pixel * softness), 0.0, 1.0)


def sheet_side(radius: float) -> int:
    """Pixels along a whole sheet for an outer radius in pixels."""
    return 2 * int(np.ceil(REACH * radius)) + 1


def new_canvas(radius: float, columns: tuple[int, int] | None = None) -> Canvas:
    """A blank sheet for an outer radius in pixels; `columns` limits it to a first and last+1 column."""
    side = sheet_side(radius)
    left, right = columns if columns is not None else (0, side)
    axis = (np.arange(side, dtype=np.float32) - (side - 1) / 2.0) / np.float32(radius)
    x, y = np.meshgrid(axis[left:right], axis)
    r = np.asarray(cv2.magnitude(x, y), dtype=np.float32) + np.float32(1e-6)
    blank = [np.zeros_like(x) for _ in range(7)]
    return Canvas(
        pixel=1.0 / radius, left=left, side=side, x=x, y=y, r=r, cos=x / r, sin=y / r,
        lean_x=blank[0], lean_y=blank[1], albedo=np.ones_like(x), cover=np.zeros_like(x), shade=blank[2],
        paint=blank[3], paint_weight=blank[4], scatter=blank[5], groove=blank[6],
    )  # fmt: skip
