"""A running conveyor with a light barrier, and the truth about every part on it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from .belt import draw_loop
from .camera import Camera, Image, smear
from .canvas import REACH
from .part import LABELS, NOMINAL_RADIUS, random_part
from .scene import SPACING, SPACING_JITTER, part_corner, stream
from .sprite import Sprite, draw_sprite
from .station import random_station


@dataclass(frozen=True)
class SimFrame:
    """One camera frame.

    image is height x width x 3 uint8 BGR, time_s the time since the belt started, and part the id
    (1, 2, ...) of the part on whose account the light barrier fires on this frame, else None.
    """

    image: Image
    time_s: float
    part: int | None


@dataclass(frozen=True)
class ConveyorSettings:
    """What runs on the belt; parts is None for an endless run, light is a linear brightness factor."""

    seed: int = 0
    parts: int | None = None
    parts_per_minute: float = 60.0
    fps: float = 30.0
    width: int = 640
    height: int = 480
    defect_share: float = 0.3
    light: float = 1.0
    light_drift_per_minute: float = 0.0

    def __post_init__(self) -> None:
        _require("seed", self.seed >= 0, "must be 0 or more", self.seed)
        _require("parts", self.parts is None or self.parts >= 1, "must be 1 or more, or None", self.parts)
        for name in ("parts_per_minute", "fps", "light"):
            value = getattr(self, name)
            _require(name, isfinite(value) and value > 0.0, "must be a positive number", value)
        _require("width", 64 <= self.width <= 8192, "must be from 64 to 8192 pixels", self.width)
        _require("height", 64 <= self.height <= 8192, "must be from 64 to 8192 pixels", self.height)
        _require("defect_share", 0.0 <= self.defect_share <= 1.0, "must be from 0 to 1", self.defect_share)
        drift = self.light_drift_per_minute
        _require("light_drift_per_minute", isfinite(drift), "must be a finite number", drift)
        rate = self.parts_per_minute
        _require("parts_per_minute", rate <= 20.0 * self.fps, "must leave at least 3 frames to a part", rate)


def _require(field: str, holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{field}: {rule}, not {value!r}")


@dataclass(frozen=True)
class _Rider:
    """A drawn part on the belt: its sprite's corner in belt pixels and its centre's column there."""

    part: int
    sprite: Sprite
    left: int
    top: int
    centre: int


class Conveyor:
    """A belt under a camera; the same settings give the same frames, byte for byte."""

    def __init__(self, settings: ConveyorSettings) -> None:
        self.settings = settings
        self._station = random_station(stream(settings.seed, 11))
        self._speed = SPACING * settings.height * settings.parts_per_minute / 60.0
        self._motion = smear(self._speed)
        self._camera = Camera(self._station, settings.width, settings.height)
        self._loop = 4 * settings.height
        self._belt = draw_loop(self._station, settings.height, self._loop, settings.width, self._motion)

    def truth(self, part: int) -> str:
        """The label of a part: a function of the seed, the defect share and the id only."""
        last = self.settings.parts
        if part < 1 or (last is not None and part > last):
            raise ValueError(f"part: no part {part} on this belt")
        rng = stream(self.settings.seed, 12, part)
        if rng.random() >= self.settings.defect_share:
            return LABELS[0]
        return LABELS[1 + int(rng.integers(len(LABELS) - 1))]

    def frames(self) -> Iterator[SimFrame]:
        """Frames from an empty belt until the last part has left the view (endless without `parts`)."""
        settings = self.settings
        rng = stream(settings.seed, 14)
        riders: deque[_Rider] = deque()
        step, index, placed, fired = self._speed / settings.fps, 0, 0, 0
        while True:
            travel = round(index * step)
            while self._place(placed + 1) + travel > -self._margin and not self._is_last(placed):
                placed += 1
                riders.append(self._draw_rider(placed))
            while riders and riders[0].centre + travel > settings.width + self._margin:
                riders.popleft()
            if not riders and self._is_last(placed):
                return
            due = self._due(riders, fired, travel + step / 2.0)
            fired = due if due is not None else fired
            time_s = index / settings.fps
            yield SimFrame(self._shoot(riders, travel, time_s, rng), time_s, due)
            index += 1

    @property
    def _margin(self) -> int:
        return int(REACH * 1.02 * NOMINAL_RADIUS * self.settings.height) + 2

    def _is_last(self, placed: int) -> bool:
        return self.settings.parts is not None and placed >= self.settings.parts

    def _place(self, part: int) -> int:
        """Column of a part's centre on the belt; parts enter from the left."""
        jitter = float(stream(self.settings.seed, 15, part).uniform(-0.5, 0.5)) * SPACING_JITTER
        ahead = SPACING * (part - 1) + SPACING_JITTER + jitter
        return -self._margin - 1 - round(ahead * self.settings.height)

    def _draw_rider(self, part: int) -> _Rider:
        rng = stream(self.settings.seed, 13, part)
        drawn = random_part(rng, self.truth(part))
        station = replace(
            self._station,
            azimuth=self._station.azimuth + float(rng.normal(0.0, 0.03)),
            key=self._station.key * float(rng.uniform(0.96, 1.04)),
        )
        sprite = draw_sprite(drawn, station, self.settings.height, self._motion)
        centre = self._place(part)
        left, top = part_corner(drawn, centre, self.settings.height)
        return _Rider(part, sprite, left, top, centre)

    def _due(self, riders: deque[_Rider], fired: int, reach: float) -> int | None:
        for rider in riders:
            if rider.part == fired + 1 and rider.centre + reach >= self.settings.width / 2.0:
                return rider.part
        return None

    def _shoot(self, riders: deque[_Rider], travel: int, time_s: float, rng: np.random.Generator) -> Image:
        start = -travel % self._loop
        scene = self._belt[:, start : start + self.settings.width].copy()
        for rider in riders:
            rider.sprite.lay(scene, rider.left + travel, rider.top)
        light = self.settings.light * (1.0 + self.settings.light_drift_per_minute * time_s / 60.0)
        return self._camera.expose(scene, rng, max(light, 0.02))
