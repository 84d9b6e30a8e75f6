"""Whether a camera's process is to be left alone, killed or started: decided from what was heard of it, and when.

Values in, values out; `now_s` is on the monotonic clock.
"""

from __future__ import annotations

from typing import Literal

from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.messages import FromChild, Lost, Opened, Opening, Taken
from edgetl.runtime.capture.pauses import RestartLimit

Action = Literal["wait", "kill", "start"]

_BOOT_S = 20.0  # importing NumPy and OpenCV from a cold SD card of a small board
_IDLE_S = 5.0  # between tries the child says that it is alive every half second; releasing a camera may take longer


class Supervisor:
    """Watches one child after another."""

    def __init__(self, config: CameraConfig, limit: RestartLimit | None = None) -> None:
        self._open_s = 1.5 * config.open_timeout_s + 1.0
        # The child itself gives up a silent camera after frame_timeout_s; half as much again, and it hangs itself.
        self._frame_s = 1.5 * config.frame_timeout_s
        self._limit = limit or RestartLimit()
        self._running = False
        self._due_s = float("-inf")  # when to act, if nothing is heard
        self.restarts = -1  # the first start is none

    def started(self, now_s: float) -> None:
        """A child was started."""
        self._running = True
        self._due_s = now_s + _BOOT_S
        self.restarts += 1
        if self.restarts:
            self._limit.started(now_s)

    def heard(self, message: FromChild, now_s: float) -> None:
        """The child said something; what it does now tells how long it may be silent."""
        if isinstance(message, Opening):
            patience_s = self._open_s
        elif isinstance(message, Opened):
            patience_s = self._open_s + self._frame_s  # a stream's first whole picture may need a while
        elif isinstance(message, Taken) or (isinstance(message, Lost) and not message.camera_gone):
            patience_s = self._frame_s
        else:
            patience_s = max(_IDLE_S, self._frame_s)
        self._due_s = now_s + patience_s

    def ended(self, now_s: float) -> None:
        """The child is gone, by itself or killed."""
        self._running = False
        self._due_s = self._limit.ended(now_s)

    def action(self, now_s: float) -> Action:
        """What to do now."""
        if now_s < self._due_s:
            return "wait"
        return "kill" if self._running else "start"

    @property
    def degraded(self) -> bool:
        """Whether there were so many restarts that only one a minute is tried."""
        return self._limit.degraded
