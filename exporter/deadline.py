"""The end of the time that a rung may take, for the loops that could run past it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from edgetl.errors import ExportError


class Deadline:
    """`left_s` seconds from now on; without them there is no end."""

    def __init__(self, left_s: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + left_s

    @property
    def left_s(self) -> float:
        """Seconds that are left, none at the least."""
        return max(0.0, self._end - self._clock())

    def check(self) -> None:
        """Raises ExportError where no time is left."""
        if self.left_s <= 0:
            raise ExportError("the time of --budget was up in the middle of it")


NEVER = Deadline()
