"""Feeds the service manager's watchdog with progress, never by a timer: what has gone through the whole loop."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgetl.runtime.service.notify import Notifier
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.verdict import Verdict

_STATUS_EVERY_S = 5.0


class Heartbeat:
    """A sink. Each frame that was captured, prepared, and judged where a part was in it, comes here on the judging
    thread; a loop that is stuck anywhere sends none, and nobody else feeds the watchdog."""

    def __init__(self, notifier: Notifier, board: StatusBoard, clock: Callable[[], float] = time.monotonic) -> None:
        """`board` knows what else is the matter, for the status that `systemctl status` shows."""
        self._notifier = notifier
        self._board = board
        self._clock = clock
        # systemd's advice is half of its limit; a quarter leaves room for a slow disk now and then.
        self._every_s = notifier.watchdog_s / 4
        self._fed_s = self._told_s = float("-inf")
        self._ready = False
        self._verdicts = dict.fromkeys(("OK", "NG", "UNKNOWN", "FAULT"), 0)

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Progress: a frame went all the way."""
        now_s = self._clock()
        if verdict is not None:
            self._verdicts[verdict.verdict] += 1
        if not self._ready:
            self._ready = True
            self._notifier.ready()
        if self._every_s and now_s - self._fed_s >= self._every_s:
            self._fed_s = now_s
            self._notifier.tell("WATCHDOG=1")
        if now_s - self._told_s >= _STATUS_EVERY_S:
            self._told_s = now_s
            counts = ", ".join(f"{n} {kind}" for kind, n in self._verdicts.items() if n) or "no verdicts yet"
            now = f"last {verdict.verdict}" if verdict else frame.fault or "running"
            status = self._board.snapshot()
            trouble = [f"{n}: {t}" for n, t in (("throttled", status.throttled), ("drift", status.drift)) if t]
            self._notifier.tell("STATUS=" + "; ".join([counts, now, *trouble]))

    def close(self) -> None:
        """Nothing is held back."""
