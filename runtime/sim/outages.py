"""When the simulated camera is away."""

import numpy as np

from .scene import stream

SHORTEST_S, LONGEST_S = 0.05, 4.0


class Outages:
    """Outages at random moments, the same ones for the same seed. Asked with times that only grow."""

    def __init__(self, seed: int, per_minute: float) -> None:
        if not 0.0 <= per_minute <= 60.0:
            raise ValueError(f"outages_per_minute: must be from 0 to 60, not {per_minute!r}")
        self._rng = stream(seed, 16)
        self._per_minute = per_minute
        self._start_s = self._gap_s()
        self._end_s = self._start_s + self._length_s()

    def away(self, time_s: float) -> bool:
        """Whether the camera is away at that time since the start."""
        while time_s >= self._end_s:
            self._start_s = self._end_s + self._gap_s()
            self._end_s = self._start_s + self._length_s()
        return time_s >= self._start_s

    def _gap_s(self) -> float:
        return float(self._rng.exponential(60.0 / self._per_minute)) if self._per_minute else float("inf")

    def _length_s(self) -> float:
        """Short ones are as likely as long ones, by their order of magnitude."""
        return float(np.exp(self._rng.uniform(np.log(SHORTEST_S), np.log(LONGEST_S))))
