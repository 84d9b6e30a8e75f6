"""Which frames belong to which part: signals and frames go in by time, and each part comes out exactly once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from edgetl.runtime.parts.settings import TimerTrigger, _Trigger
from edgetl.runtime.sources.base import Frame


class PartMark(msgspec.Struct, frozen=True):
    """A part and the time of its signal: on the clock that the gate goes by, and on the monotonic one. `passed_over`: its
    frame gave way to a newer one, and nobody looks at it any more."""

    part: int
    at_s: float
    monotonic_s: float
    passed_over: bool = False


class Step(msgspec.Struct, frozen=True):
    """What one frame means: the parts that ended before it, and whether it is to be judged, and for which part.

    `last`: with this frame its part is complete. A judged frame without a part stands for itself.
    """

    ended: tuple[PartMark, ...] = ()
    judged: bool = False
    part: PartMark | None = None
    last: bool = False


class Gate(Protocol):
    """Called with every frame in order, from one thread."""

    def step(self, frame: Frame) -> Step:
        """What this frame means."""

    def finish(self) -> tuple[PartMark, ...]:
        """The parts that still wait when the frames end, in order."""

    @property
    def idle(self) -> bool:
        """Whether no part is in view or awaited; safe to ask from another thread."""


class OpenGate:
    """Judges each frame for itself. `numbered`: each is a part, so none may go without a verdict."""

    def __init__(self, *, numbered: bool = False) -> None:
        self.numbered = numbered
        self._count = 0

    def step(self, frame: Frame) -> Step:
        """Every frame is judged; where each is a part, those that the source passed over have ended before it."""
        if not self.numbered:
            return Step(judged=True, last=True)
        ended = tuple(self._next(frame, passed_over=True) for _ in range(frame.passed_over))
        return Step(ended, judged=True, part=self._next(frame), last=True)

    def _next(self, frame: Frame, *, passed_over: bool = False) -> PartMark:
        self._count += 1
        return PartMark(self._count, frame.time_s, frame.arrived_s, passed_over)

    def finish(self) -> tuple[PartMark, ...]:
        """Nothing ever waits."""
        return ()

    @property
    def idle(self) -> bool:
        """Always: each frame is done with at once."""
        return True


class Signals:
    """The rule by which signals in time claim frames in time.

    A part is at the camera from `delay_s` after its signal. It takes the next `frames` frames, unless the next part
    arrives first or no frame came within `timeout_s`; then it ends with what it has.
    """

    def __init__(self, settings: _Trigger) -> None:
        self._settings = settings
        self._waiting: deque[PartMark] = deque()
        self._here: PartMark | None = None
        self._taken = 0
        self._count = 0
        self._last_s: float | None = None
        self.bounced = 0

    def signal(self, at_s: float, monotonic_s: float, part: int | None = None) -> None:
        """A part was announced at that time; `part` is its number, if whoever announced it numbers them."""
        if self._last_s is not None and abs(at_s - self._last_s) < self._settings.min_gap_s:
            self.bounced += 1
            return
        self._last_s = at_s
        self._count = self._count + 1 if part is None else part
        self._waiting.append(PartMark(self._count, at_s, monotonic_s))

    def frame(self, at_s: float) -> Step:
        """A frame came at that time."""
        ended = self._arrive(at_s)
        if self._here is not None and not self._taken and at_s > self._due(self._here) + self._settings.timeout_s:
            ended.append(self._here)
            self._here = None
        if self._here is None:
            return Step(ended=tuple(ended))
        part, self._taken = self._here, self._taken + 1
        last = self._taken == self._settings.frames
        if last:
            self._here = None
        return Step(ended=tuple(ended), judged=True, part=part, last=last)

    def finish(self) -> tuple[PartMark, ...]:
        """Ends all that was announced."""
        left = ([self._here] if self._here is not None else []) + list(self._waiting)
        self._here = None
        self._waiting.clear()
        return tuple(left)

    @property
    def idle(self) -> bool:
        """Whether no part is here or on its way."""
        return self._here is None and not self._waiting

    def _due(self, mark: PartMark) -> float:
        return mark.at_s + self._settings.delay_s

    def _arrive(self, now_s: float) -> list[PartMark]:
        ended = []
        while self._waiting and self._due(self._waiting[0]) <= now_s:
            if self._here is not None:
                ended.append(self._here)
            self._here, self._taken = self._waiting.popleft(), 0
        return ended


class SourceGate:
    """The source marks one frame of each part."""

    def __init__(self, settings: _Trigger) -> None:
        self._signals = Signals(settings)

    def step(self, frame: Frame) -> Step:
        """A marked frame is a signal at its own time."""
        if frame.part is not None:
            self._signals.signal(frame.time_s, frame.arrived_s, frame.part)
        return self._signals.frame(frame.time_s)

    def finish(self) -> tuple[PartMark, ...]:
        """The parts without all of their frames."""
        return self._signals.finish()

    @property
    def idle(self) -> bool:
        """Whether no part is here or on its way."""
        return self._signals.idle


class TimerGate:
    """A part every so often. After a pause longer than a period the missed ones are left out, not made up for."""

    def __init__(self, settings: TimerTrigger) -> None:
        self._signals = Signals(settings)
        self._every_s = settings.every_s
        self._next_s: float | None = None

    def step(self, frame: Frame) -> Step:
        """Signals when the period is over."""
        now = frame.time_s
        if self._next_s is None or now >= self._next_s + self._every_s:
            self._next_s = now
        if now >= self._next_s:
            self._signals.signal(self._next_s, frame.arrived_s)
            self._next_s += self._every_s
        return self._signals.frame(now)

    def finish(self) -> tuple[PartMark, ...]:
        """The part without all of its frames."""
        return self._signals.finish()

    @property
    def idle(self) -> bool:
        """Whether no part is here or on its way."""
        return self._signals.idle


class OutsideGate:
    """Signals come from outside (a pin, a message); `take` gives the monotonic times of those that came."""

    def __init__(self, settings: _Trigger, take: Callable[[], list[float]]) -> None:
        self._signals = Signals(settings)
        self._take = take

    def step(self, frame: Frame) -> Step:
        """Hands on what was signalled until now."""
        self._hear()
        return self._signals.frame(frame.arrived_s)

    def finish(self) -> tuple[PartMark, ...]:
        """The parts without all of their frames."""
        self._hear()
        return self._signals.finish()

    @property
    def idle(self) -> bool:
        """Whether no part is here or on its way."""
        return self._signals.idle

    def _hear(self) -> None:
        for at_s in self._take():
            self._signals.signal(at_s, at_s)
