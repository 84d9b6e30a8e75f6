"""When to try again: pauses that grow, and a limit on restarts. Values in, values out; time and chance are given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FIRST_PAUSE_S = 0.05
# Half a second at most: a camera is then back well within two seconds of its return, and a try costs next to nothing.
LONGEST_PAUSE_S = 0.5
JITTER = 0.25  # of the pause, both ways, so that many devices do not come back to one camera or switch at once


class Pauses:
    """Pauses in seconds that double from `first_s` to `longest_s`; `chance` gives numbers from 0 to 1."""

    def __init__(
        self, chance: Callable[[], float], first_s: float = FIRST_PAUSE_S, longest_s: float = LONGEST_PAUSE_S
    ) -> None:
        self._chance = chance
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """The pause before the next try."""
        pause_s, self._next_s = self._next_s, min(self._longest_s, self._next_s * 2)
        return pause_s * (1 + JITTER * (2 * self._chance() - 1))

    def reset(self) -> None:
        """It worked: the next failure starts small again."""
        self._next_s = self._first_s


class RestartLimit:
    """At most `count` restarts in `window_s`; from then on one a window, which is called degraded, until one of them
    holds for a whole window."""

    def __init__(self, count: int = 5, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._starts: deque[float] = deque(maxlen=count)
        self.degraded = False

    def started(self, now_s: float) -> None:
        """A restart was made."""
        self._starts.append(now_s)

    def ended(self, now_s: float) -> float:
        """What was started has ended; gives when the next restart may be, on the same clock."""
        if not self._starts or now_s - self._starts[-1] >= self._window_s:
            self._starts.clear()
            self.degraded = False
            return now_s
        full = len(self._starts) == self._starts.maxlen
        self.degraded |= full and now_s - self._starts[0] < self._window_s
        return self._starts[-1] + self._window_s if self.degraded else now_s
