"""A chip of pins in memory: levels with their times, edges by hand, and the kernel's refusals."""

from __future__ import annotations

import threading
import time

from edgetl.errors import SourceError
from edgetl.runtime.pins.base import EdgeSettings, PinSettings


class FakeOutput:
    """An output whose levels can be read back with the times at which they were set."""

    def __init__(self, initial: bool) -> None:
        self.levels: list[tuple[float, bool]] = [(time.monotonic(), initial)]
        self.closed = False
        self.broken = False

    @property
    def level(self) -> bool:
        return self.levels[-1][1]

    def set(self, active: bool) -> None:
        assert not self.closed, "set after it was given back"
        if self.broken:
            raise OSError(19, "No such device")
        self.levels.append((time.monotonic(), active))

    def close(self) -> None:
        self.closed = True

    def rises(self) -> list[float]:
        """When it became active."""
        pairs = zip(self.levels, self.levels[1:], strict=False)
        return [now for (_, was), (now, level) in pairs if level and not was]


class FakeEdges:
    """An input: `edge` is what the world does."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._changed = threading.Condition()
        self.closed = False
        self.broken = False

    def edge(self, at_s: float | None = None) -> None:
        with self._changed:
            self._times.append(time.monotonic() if at_s is None else at_s)
            self._changed.notify_all()

    def break_off(self) -> None:
        with self._changed:
            self.broken = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> list[float]:
        with self._changed:
            if not self._times and not self.broken:
                self._changed.wait(timeout_s)
            if self.broken:
                raise OSError(19, "No such device")
            times, self._times = self._times, []
            return times

    def close(self) -> None:
        self.closed = True


class FakeChip:
    """Gives each line once, as the kernel does."""

    def __init__(self) -> None:
        self.outputs: dict[int, FakeOutput] = {}
        self.inputs: dict[int, FakeEdges] = {}

    def output(self, settings: PinSettings, initial: bool) -> FakeOutput:
        self._check(settings.line)
        self.outputs[settings.line] = FakeOutput(initial)
        return self.outputs[settings.line]

    def edges(self, settings: EdgeSettings) -> FakeEdges:
        self._check(settings.line)
        self.inputs[settings.line] = FakeEdges()
        return self.inputs[settings.line]

    def _check(self, line: int) -> None:
        if line in self.outputs or line in self.inputs:
            raise SourceError(f"line {line}: Device or resource busy")
