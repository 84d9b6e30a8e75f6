"""What every trigger from outside offers, and where its signals wait for the next frame."""

from __future__ import annotations

import threading
from collections import deque

from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict

_MOST = 10_000  # signals kept while no frame comes: half an hour of five parts a second


class Inbox:
    """The monotonic times of signals, from any thread to the line's capture thread."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST)
        self._lock = threading.Lock()
        self.heard = 0

    def put(self, at_s: float) -> None:
        """A part was announced at that time."""
        self.extend([at_s])

    def extend(self, times: list[float]) -> None:
        """Parts were announced at those times."""
        with self._lock:
            self._times.extend(times)
            self.heard += len(times)

    def take(self) -> list[float]:
        """The times since the last call, in order."""
        with self._lock:
            times = sorted(self._times)
            self._times.clear()
        return times


class Trigger:
    """An open trigger: it puts times into its inbox from a thread of its own until it is closed.

    To the line it is an output that is shown nothing: its health is part of the status, and it is closed with the rest.
    """

    trouble: str = ""
    """What is wrong with it now, in words; empty when nothing is."""

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Verdicts do not concern it."""

    def health(self) -> SinkHealth:
        """Whether it can announce parts."""
        return SinkHealth(name="trigger", ok=not self.trouble, detail=self.trouble)

    def close(self) -> None:
        """Ends its thread and gives back its pin or connection."""
        raise NotImplementedError
