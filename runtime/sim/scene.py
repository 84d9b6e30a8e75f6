"""The moment the light barrier fires, drawn alone: one labelled training picture."""

import numpy as np
from numpy.typing import NDArray

from .belt import draw_belt
from .camera import Camera, smear
from .part import LABELS, Part, check_label, random_part
from .sprite import draw_sprite, sprite_side
from .station import Station, random_station

# Distance between parts along the belt and its spread, in frame heights.
SPACING = 0.96
SPACING_JITTER = 0.02

# Where the barrier may catch a part, in frame heights from the middle: half a frame step at 300 parts a
# minute and 30 frames a second.
CATCH = 0.08


def stream(*key: int) -> np.random.Generator:
    """An independent random stream for each key."""
    return np.random.default_rng(np.random.SeedSequence(list(key)))


def part_corner(part: Part, centre_x: int, height: int) -> tuple[int, int]:
    """Left and top of the part's sprite when its centre is at column centre_x."""
    half = (sprite_side(part, height) - 1) // 2
    return centre_x - half, round(height * (0.5 + part.drift)) - half


def _lay_part(scene: NDArray[np.uint8], part: Part, station: Station, centre_x: int, motion: float) -> None:
    """Draw only those columns of the part that the frame shows."""
    height, width = scene.shape[:2]
    left, top = part_corner(part, centre_x, height)
    first, last = max(0, -left - 4), min(sprite_side(part, height), width - left + 4)
    if first < last:
        draw_sprite(part, station, height, motion, (first, last)).lay(scene, left + first, top)


def draw_picture(seed: int, label: str, width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """One training picture, height x width x 3 uint8 BGR, at the moment the light barrier fires.

    Everything but the defect is drawn from the seed alone, never from the label.
    """
    check_label(label)
    setting = stream(seed, 1)
    station = random_station(setting)
    motion = smear(float(setting.uniform(0.5, 5.0)) * SPACING * height)
    scene = draw_belt(station, height, width, motion)
    centre = width / 2.0 + float(setting.uniform(-CATCH, CATCH)) * height
    for side in (-1, 1):
        neighbour = random_part(stream(seed, 3, side + 1), LABELS[int(setting.integers(len(LABELS)))])
        gap = SPACING + float(setting.uniform(-SPACING_JITTER, SPACING_JITTER))
        _lay_part(scene, neighbour, station, round(centre + side * gap * height), motion)
    _lay_part(scene, random_part(stream(seed, 2), label), station, round(centre), motion)
    return Camera(station, width, height).expose(scene, setting)
