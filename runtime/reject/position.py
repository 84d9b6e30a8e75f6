"""Where the belt is: by the clock, or by its encoder."""

from __future__ import annotations

import bisect
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from edgetl.runtime.pins.base import Edges
from edgetl.runtime.pins.reader import EdgeReader

_HISTORY = 65536  # counts that can still be looked up: half a minute at 2,000 a second


class Position(Protocol):
    """A quantity that only grows, and in which the way to the pusher is measured."""

    def now(self) -> float:
        """The position now."""

    def at(self, time_s: float) -> float:
        """The position at a monotonic time that is past."""

    def wait_s(self, position: float) -> float | None:
        """Seconds until a position is reached; None if that cannot be known (`changed` is then called)."""

    @property
    def trouble(self) -> str:
        """What is wrong with what follows the belt; empty when nothing is."""

    def close(self) -> None:
        """Ends what follows the belt."""


class ByClock:
    """A belt at constant speed: seconds."""

    trouble = ""

    def now(self) -> float:
        """Monotonic time."""
        return time.monotonic()

    def at(self, time_s: float) -> float:
        """The time itself."""
        return time_s

    def wait_s(self, position: float) -> float | None:
        """The rest of the way."""
        return position - time.monotonic()

    def close(self) -> None:
        """Nothing to end."""


class ByEncoder:
    """Any speed, stops included: edges are counted as they come, and `changed` is called then."""

    def __init__(self, edges: Edges, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._times: deque[float] = deque(maxlen=_HISTORY)
        self._count = 0
        self._lock = threading.Lock()
        self._reader = EdgeReader(edges, self._heard)

    @property
    def trouble(self) -> str:
        """What is wrong with the encoder."""
        return f"encoder: {self._reader.trouble}" if self._reader.trouble else ""

    def now(self) -> float:
        """Counts since the start."""
        return self._count

    def at(self, time_s: float) -> float:
        """Counts up to that time."""
        with self._lock:
            later = len(self._times) - bisect.bisect_right(self._times, time_s)
            return self._count - later

    def wait_s(self, position: float) -> float | None:
        """Not known: the belt may stop."""
        return None

    def close(self) -> None:
        """Stops counting."""
        self._reader.close()

    def _heard(self, times: list[float]) -> None:
        with self._lock:
            self._times.extend(times)
            self._count += len(times)
        self._changed()
