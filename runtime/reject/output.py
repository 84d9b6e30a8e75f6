"""The pusher as an output of the line: pins at the edge, the schedule inside, time on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from edgetl.runtime.pins.base import Chip, OutputPin
from edgetl.runtime.reject.position import ByClock, ByEncoder, Position
from edgetl.runtime.reject.ready import ReadyPin
from edgetl.runtime.reject.schedule import Due, Pulse, Schedule
from edgetl.runtime.reject.settings import RejectSettings
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict

_LOOK_S = 0.2  # a line that gets stuck does not call; so it is looked after


class RejectOutput:
    """Takes verdicts, and pulses the pin when a bad part gets to the pusher. `show` never waits."""

    def __init__(self, settings: RejectSettings, is_ready: Callable[[], bool], chip: Chip | None = None) -> None:
        """`is_ready` says at any time whether the line inspects; while it does not, the pin is in its safe state but
        for the pulses of parts already judged. Raises SourceError when a pin cannot be had, MissingPartError without
        libgpiod's package."""
        if chip is None:
            from edgetl.runtime.pins.gpio import GpioChip

            chip = GpioChip()
        self._settings = settings
        self._is_ready = is_ready
        self._was_ready = False
        self._changed = threading.Condition()
        self._stop = False
        self._fired = self._missed = self._overlapped = 0
        self._trouble = ""
        self._pin: OutputPin = chip.output(settings.pin, settings.safe)
        self._ready = None if settings.ready is None else ReadyPin(settings.ready, chip, is_ready)
        encoder = settings.encoder
        self._position: Position = ByClock() if encoder is None else ByEncoder(chip.edges(encoder), self._wake)
        self._schedule = Schedule(
            encoder.distance if encoder is not None else settings.delay_s or 0.0,
            encoder.tolerance if encoder is not None else settings.tolerance_s,
        )
        self._pulse = Pulse(settings.pulse_s)
        self._level = settings.safe
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Notes whether the line inspects, and a part's verdict."""
        self._note_readiness()
        if verdict is None or (verdict.part is None and verdict.verdict == "FAULT"):
            return  # a fault of the line itself: there is no part to push out
        at_s = frame.arrived_s if verdict.triggered_s is msgspec.UNSET else verdict.triggered_s
        number = verdict.sequence if verdict.part is None else verdict.part
        with self._changed:
            self._schedule.add(number, self._position.at(at_s), bad=verdict.verdict in self._settings.on)
            self._changed.notify_all()

    def health(self) -> SinkHealth:
        """How many parts were pushed out; those that could not be in time are told."""
        trouble = [self._trouble, self._position.trouble]
        if self._missed:
            trouble.append(f"{self._missed} bad parts went by before their verdict")
        if self._overlapped:
            trouble.append(f"{self._overlapped} good parts passed while a pulse ran; make pulse_s shorter")
        detail = "; ".join(filter(None, trouble))
        return SinkHealth(name="reject", ok=not detail, detail=detail, delivered=self._fired, dropped=self._missed)

    def close(self) -> None:
        """Leaves the pins in their safe state. Parts still on their way are not pushed out."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join()
        self._position.close()
        if self._ready is not None:
            self._ready.close()
        self._drive(self._settings.safe)
        self._pin.close()

    def _note_readiness(self) -> None:
        ready = self._is_ready()
        if ready == self._was_ready:
            return
        self._was_ready = ready
        if self._ready is not None:
            self._ready.look()
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while not self._stop:
                now = time.monotonic()
                self._note(self._schedule.due(self._position.now()), now)
                self._drive(self._pulse.is_active(now) or (self._settings.safe and not self._is_ready()))
                self._changed.wait(self._pause(now))

    def _note(self, due: list[Due], now: float) -> None:
        for part in due:
            if part.what == "fire":
                self._fired += 1
                self._drive(True)
                self._pulse.fire(time.monotonic())  # from when the pin is driven: a busy machine makes no pulse shorter
            elif part.what == "missed":
                self._missed += 1
            else:
                self._overlapped += self._pulse.is_active(now)

    def _pause(self, now: float) -> float:
        """Until the pulse ends or the next part is at the pusher."""
        moments = [_LOOK_S]
        if (ends := self._pulse.ends_s(now)) is not None:
            moments.append(ends - now)
        coming = self._schedule.next_at()
        if coming is not None and (wait := self._position.wait_s(coming)) is not None:
            moments.append(wait)
        return max(0.0, min(moments))

    def _drive(self, active: bool) -> None:
        if active == self._level:
            return
        try:
            self._pin.set(active)
            self._level = active
            self._trouble = ""
        except OSError as error:
            self._trouble = f"the reject pin does not obey: {error}"
