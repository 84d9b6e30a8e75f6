"""When to fire for which part. Pure: positions in (seconds on a clock, or counts of an encoder), decisions out."""

from __future__ import annotations

import heapq
from typing import Literal

import msgspec


class Passing(msgspec.Struct, frozen=True, order=True):
    """A part that will be in front of the pusher at a position, and whether it is to be pushed out."""

    at: float
    part: int
    bad: bool


class Due(msgspec.Struct, frozen=True):
    """A part that has got to the pusher: to be fired at, good, or bad and gone by before that was known."""

    part: int
    what: Literal["fire", "pass", "missed"]


class Schedule:
    """Parts on their way from camera to pusher, in the order in which they will get there."""

    def __init__(self, distance: float, tolerance: float) -> None:
        """`distance` from a part's signal to the pusher; fires no later than `tolerance` after that."""
        self._distance = distance
        self._tolerance = tolerance
        self._coming: list[Passing] = []

    def add(self, part: int, signalled_at: float, *, bad: bool) -> None:
        """A verdict for the part that was signalled at that position."""
        heapq.heappush(self._coming, Passing(signalled_at + self._distance, part, bad))

    def due(self, position: float) -> list[Due]:
        """What has got to the pusher by now, in order, each part once."""
        here: list[Due] = []
        while self._coming and self._coming[0].at <= position:
            part = heapq.heappop(self._coming)
            late = position - part.at > self._tolerance
            here.append(Due(part.part, "pass" if not part.bad else "missed" if late else "fire"))
        return here

    def next_at(self) -> float | None:
        """The position of the next part, if one is on its way."""
        return self._coming[0].at if self._coming else None


class Pulse:
    """The level of the pusher's pin: active for `width_s` from the last firing."""

    def __init__(self, width_s: float) -> None:
        self._width_s = width_s
        self._until_s: float | None = None

    def fire(self, now_s: float) -> None:
        """Starts the pulse, or lengthens the one that runs."""
        self._until_s = now_s + self._width_s

    def is_active(self, now_s: float) -> bool:
        """Whether the pin is to be active now."""
        return self._until_s is not None and now_s < self._until_s

    def ends_s(self, now_s: float) -> float | None:
        """When the running pulse ends."""
        return self._until_s if self.is_active(now_s) else None
