"""Verdicts on pins: a level that stays until the next verdict, or a pulse."""

from __future__ import annotations

import threading
import time

from edgetl.runtime.outputs.bulletin import Board
from edgetl.runtime.outputs.config import Gpio, VerdictPin
from edgetl.runtime.pins.base import Chip, OutputPin
from edgetl.runtime.reject.schedule import Pulse
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict, VerdictKind

_LOOK_S = 0.1  # a line that gets stuck does not call; so it is looked after


class GpioOutput:
    """Drives each pin by the verdicts that it stands for; by the safe state while the line is not ready."""

    def __init__(self, config: Gpio, board: Board, chip: Chip | None = None) -> None:
        """Raises SourceError when a pin cannot be had, MissingPartError without libgpiod's package."""
        if chip is None:
            from edgetl.runtime.pins.gpio import GpioChip

            chip = GpioChip()
        self._config = config
        self._board = board
        self._changed = threading.Condition()
        self._stopping = False
        self._pins = [_Driven(pin, chip) for pin in config.pins]
        self._thread = threading.Thread(target=self._run, name=f"output {config.title}", daemon=True)

    def start(self) -> None:
        """Begins to drive."""
        self._thread.start()

    def show(self, verdict: Verdict) -> None:
        """Has the pins driven by it."""
        with self._changed:
            for pin in self._pins:
                pin.take(verdict.verdict)
            self._changed.notify_all()

    def health(self) -> SinkHealth:
        """How many verdicts were shown, and which pin does not obey."""
        trouble = "; ".join(pin.trouble for pin in self._pins if pin.trouble)
        return SinkHealth(name=self._config.title, ok=not trouble, detail=trouble, delivered=self._pins[0].taken)

    def close(self, timeout_s: float) -> None:
        """Leaves the pins in their safe state."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                ready = self._board.ready()
                for pin in self._pins:
                    pin.drive(ready)
                now_s = time.monotonic()
                ends = [end - now_s for pin in self._pins if (end := pin.pulse_ends_s(now_s)) is not None]
                self._changed.wait(max(0.0, min([_LOOK_S, *ends])))
            for pin in self._pins:
                pin.close()


class _Driven:
    """One pin and what it was told. Not safe between threads."""

    def __init__(self, settings: VerdictPin, chip: Chip) -> None:
        self._settings = settings
        self._is_safe_active = "FAULT" in settings.on
        self._pin: OutputPin = chip.output(settings, self._is_safe_active)
        self._level = self._is_safe_active
        self._newest: VerdictKind | None = None
        self._pulse = None if settings.pulse_s is None else Pulse(settings.pulse_s)
        self._is_pulse_due = False
        self.taken = 0
        self.trouble = ""

    def take(self, verdict: VerdictKind) -> None:
        self.taken += 1
        self._newest = verdict
        self._is_pulse_due = self._is_pulse_due or verdict in self._settings.on

    def drive(self, ready: bool) -> None:
        self._set(self._meant(ready) or (self._is_safe_active and not ready))

    def _meant(self, ready: bool) -> bool:
        if self._pulse is None:
            return ready and self._newest in self._settings.on
        if self._is_pulse_due:  # counted from when the pin is driven: a busy machine makes no pulse shorter
            self._set(True)
            self._is_pulse_due = False
            self._pulse.fire(time.monotonic())
        return self._pulse.is_active(time.monotonic())  # not cut short: who counts its edges would miss the part

    def pulse_ends_s(self, now_s: float) -> float | None:
        return None if self._pulse is None else self._pulse.ends_s(now_s)

    def close(self) -> None:
        self._set(self._is_safe_active)
        self._pin.close()

    def _set(self, active: bool) -> None:
        if active == self._level:
            return
        try:
            self._pin.set(active)
            self._level, self.trouble = active, ""
        except OSError as error:
            self.trouble = f"line {self._settings.line} does not obey: {error}"
