"""What signals order: SIGTERM and Ctrl-C drain and end the line, SIGHUP has it take its configuration over anew."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from edgetl.errors import EdgetlError
from edgetl.runtime.service.notify import Notifier

_log = logging.getLogger("edgetl.service")


class Stoppable(Protocol):
    """What is asked of the line."""

    def stop(self) -> None:
        """Ends the run after the frame at hand."""

    def stop_between_parts(self) -> None:
        """Ends the run once no part is in view."""


class Orders:
    """Obeys the signals of one line. `reload`: after the line has ended, the program is to be started anew."""

    def __init__(self, line: Stoppable, check: Callable[[], object] | None, notifier: Notifier) -> None:
        """`check` reads the configuration and raises an EdgetlError if it cannot be taken over; without a
        configuration (None) a hang-up of the terminal ends the program, as is usual."""
        self._line = line
        self._check = check
        self._notifier = notifier
        self.reload = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        if check is not None:
            signal.signal(signal.SIGHUP, self._hang_up)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.reload = False
        self._notifier.tell("STOPPING=1")
        self._line.stop()

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        assert self._check is not None
        try:
            self._check()
        except EdgetlError as error:
            _log.error("the configuration stays as it was: %s", error)
            return
        _log.info("the configuration is taken over anew")
        self.reload = True
        self._notifier.reloading()
        self._line.stop_between_parts()
