"""Reads an input's edges on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgetl.runtime.pins.base import Edges

_LOOK_S = 0.2  # how often it is asked whether to end


class EdgeReader:
    """Hands the edges' times, as the kernel noted them, to `heard`; a pin that goes away ends it with `trouble`."""

    def __init__(self, edges: Edges, heard: Callable[[list[float]], None]) -> None:
        self.trouble = ""
        self._edges = edges
        self._heard = heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Gives the pin back."""
        self._stop.set()
        self._thread.join()
        self._edges.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                times = self._edges.wait(_LOOK_S)
            except OSError as error:
                self.trouble = f"the pin is gone: {error}"
                return
            if times:
                self._heard(times)
