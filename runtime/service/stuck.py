"""Says in the log that the line is stuck, and that it moves again: the line itself cannot."""

from __future__ import annotations

import logging
import threading

from edgetl.runtime.status import StatusBoard

_LOOK_S = 1.0
_log = logging.getLogger("edgetl.line")


class StuckWatch:
    """Looks once a second, on a thread of its own."""

    def __init__(self, board: StatusBoard) -> None:
        self._board = board
        self._stuck = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="stuck")
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_S):
            stuck = self._board.stuck()
            if stuck == self._stuck:
                continue
            self._stuck = stuck
            if stuck:
                _log.error("no frame goes through the line any more", extra={"fields": {"event": "stuck"}})
            else:
                _log.warning("frames go through the line again", extra={"fields": {"event": "moving"}})

    def close(self) -> None:
        """Ends the watch."""
        self._done.set()
        self._thread.join()
