"""The ready signal: what a PLC watches to know that the line inspects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from edgetl.runtime.pins.base import Chip
from edgetl.runtime.reject.settings import ReadySettings

_LOOK_S = 0.2  # a line that gets stuck does not call; so it is looked after


class ReadyPin:
    """Active, or changing level, while the line inspects."""

    def __init__(self, settings: ReadySettings, chip: Chip, is_ready: Callable[[], bool]) -> None:
        self._toggle_s = settings.toggle_s
        self._is_ready = is_ready
        self._pin = chip.output(settings, False)
        self._level = False
        self._changed = threading.Condition()
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Something has changed: does not wait for the next look."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Inactive for good."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join()
        self._pin.close()

    def _run(self) -> None:
        toggle_at_s = 0.0
        with self._changed:
            while not self._stop:
                now_s, ready = time.monotonic(), self._is_ready()
                if not ready or self._toggle_s is None:
                    self._drive(ready)
                elif now_s >= toggle_at_s:
                    self._drive(not self._level)
                    toggle_at_s = now_s + self._toggle_s
                self._changed.wait(min(_LOOK_S, toggle_at_s - now_s) if toggle_at_s > now_s else _LOOK_S)
            self._drive(False)

    def _drive(self, level: bool) -> None:
        if level != self._level:
            with suppress(OSError):  # the pusher's own pin, on the same chip, tells of it
                self._pin.set(level)
                self._level = level
