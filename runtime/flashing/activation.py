"""Lets a rehearsed release run: between two parts, on trial, watched, and taken back if it does not run well."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgetl.errors import BusyError, FlashError, HealthError, StorageError
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.flashing.clock import Clock
from edgetl.runtime.flashing.layout import DeviceRoot, Slot
from edgetl.runtime.flashing.pulse import Pulse, read_pulse
from edgetl.runtime.flashing.requirements import judge_trial
from edgetl.runtime.flashing.settings import RESTART_S
from edgetl.runtime.flashing.slots import Slots

_LOOK_EVERY_S = 0.2


class Activated(msgspec.Struct, frozen=True, kw_only=True):
    """How an activation ended well. `seconds` from the swap to the commit, or until the trial was left to the service."""

    slot: Slot
    reason: str
    seconds: float


class Activation:
    """The last steps of a flash. `renew` is called while it waits, so that the lease does not lapse."""

    def __init__(
        self, root: DeviceRoot, config: DeviceConfig, clock: Clock, renew: Callable[[], None] = lambda: None
    ) -> None:
        self._root = root
        self._settings = config.flashing
        self._budget_ms = config.budget.latency_ms
        self._clock = clock
        self._renew = renew
        self._slots = Slots(root, clock)

    def wait_between_parts(self) -> Pulse | None:
        """Returns the service's last beat once no part is in view, or None if no service runs.

        Raises BusyError if a part stays in view for `defer_s`, or if the service runs and does not answer.
        """
        pulse = self._answer()
        start = self._clock.now().boot_s
        while True:
            if pulse is None or not pulse.part_in_view:
                return pulse
            if self._clock.now().boot_s - start > self._settings.defer_s:
                raise BusyError(
                    f"a part has been in view for {self._settings.defer_s:g} s; flash again when the line stands"
                )
            self._pause()
            pulse = self._pulse()

    def _answer(self) -> Pulse | None:
        """The service's beat. One that was started and not stopped is waited for: it loads its model, or starts anew."""
        start = self._clock.now()
        while (pulse := self._pulse()) is None:
            running = self._slots.journal.history().running
            if running is None or running.at.boot != start.boot:
                return None
            if self._clock.now().boot_s - start.boot_s > self._settings.takeover_s:
                if not Path(f"/proc/{running.pid}").exists():
                    return None
                raise BusyError(
                    f"the service runs (process {running.pid}) but has not answered for {self._settings.takeover_s:g} s; "
                    "restart it, or stop it, and flash again"
                )
            self._pause()
        return pulse

    def run(self, slot: Slot, sha256: str, before: Pulse | None, trial_s: float) -> Activated:
        """Swaps to a filled slot and returns once it is committed, or on trial where a service is yet to start.

        Raises HealthError after it went back.
        """
        self._slots.activate(slot, trial_s)
        return self._watched(slot, sha256, before, trial_s)

    def resume(self, slot: Slot, sha256: str, trial_s: float) -> Activated:
        """Watches a trial to its end whose flash was cut short. Raises HealthError as `run` does."""
        return self._watched(slot, sha256, self._pulse(), trial_s)

    def _watched(self, slot: Slot, sha256: str, before: Pulse | None, trial_s: float) -> Activated:
        began = self._clock.now()
        try:
            reason = self._passed(slot, sha256, before, trial_s)
        except HealthError as error:
            self._take_back(slot, str(error), before)
            raise
        except StorageError as error:
            reason = f"passed its trial, which cannot be noted: {error}"
            self._take_back(slot, reason, before)
            raise HealthError(reason) from error
        return Activated(slot=slot, reason=reason, seconds=round(self._clock.now().boot_s - began.boot_s, 2))

    def _passed(self, slot: Slot, sha256: str, before: Pulse | None, trial_s: float) -> str:
        history = self._slots.journal.history()
        if before is None and not self._settings.restart and not history.served:
            reason = "no service runs; its golden set alone speaks for it"
            self._slots.commit(slot, reason)
            return reason
        untried = history.trial is not None and history.trial.starts == 0
        if before is None and not self._settings.restart and untried:
            return f"no service runs now; the next one that starts runs its trial of {trial_s:g} s, and ends it"
        self._restart()
        swapped = self._clock.now()
        while True:
            self._check_still_on(slot)
            trial = judge_trial(
                sha256, before, read_pulse(self._root), swapped, self._clock.now(), trial_s, self._settings, self._budget_ms
            )  # fmt: skip
            if trial.state == "failed":
                raise HealthError(f"failed its trial: {trial.reason}")
            if trial.state == "passed":
                self._slots.commit(slot, trial.reason)
                return trial.reason
            self._pause()

    def _check_still_on(self, slot: Slot) -> None:
        """The service itself goes back when it crashes; then the journal has the reason already."""
        history = self._slots.journal.history()
        if self._root.pointed() != slot or history.returning is not None or history.halted is not None:
            raise HealthError(f"failed its trial: {history.last.reason if history.last else 'the service went back'}")

    def _take_back(self, slot: Slot, reason: str, before: Pulse | None) -> None:
        if self._root.pointed() != slot:
            return  # the service was faster
        try:
            self._slots.go_back(slot, reason, failed=True)
        except (FlashError, StorageError) as error:
            raise HealthError(f"{reason}; and {error}") from error
        with contextlib.suppress(HealthError):  # the reason to go back is what matters
            self._restart()
        if before is not None:
            self._await_previous(before)

    def go_back(self, reason: str) -> Slot:
        """Goes back to the other slot because somebody asked for it. Raises FlashError, BusyError."""
        pointed = self._root.pointed()
        if pointed is None:
            raise FlashError("nothing runs here that one could go back from; flash a release")
        before = self.wait_between_parts()
        slot = self._slots.go_back(pointed, reason, failed=False)
        self._restart()
        if before is not None:
            self._await_change(before)
        return slot

    def _await_change(self, before: Pulse) -> None:
        """Waits until the service runs another slot than before. Raises HealthError if it does not."""
        start = self._clock.now().boot_s
        while self._clock.now().boot_s - start < self._settings.takeover_s:
            pulse = self._pulse()
            if pulse is not None and pulse.slot == self._root.pointed() != before.slot:
                return
            self._pause()
        raise HealthError(
            f"went back, but the service did not follow within {self._settings.takeover_s:g} s; restart it"
        )

    def _await_previous(self, before: Pulse) -> None:
        """Waits until the service runs the old release again, so that the line is seen to run when this ends."""
        start = self._clock.now().boot_s
        while self._clock.now().boot_s - start < self._settings.takeover_s:
            pulse = self._pulse()
            if pulse is not None and pulse.sha256 == before.sha256:
                return
            self._pause()

    def _pulse(self) -> Pulse | None:
        pulse = read_pulse(self._root)
        return pulse if pulse is not None and pulse.alive(self._clock.now(), self._settings.stall_s) else None

    def _restart(self) -> None:
        """Runs the command that restarts the service, where the device's settings name one."""
        if not self._settings.restart:
            return
        try:
            done = subprocess.run(self._settings.restart, capture_output=True, timeout=RESTART_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HealthError(f"cannot restart the service: {error}") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise HealthError(f"cannot restart the service: {said[-1] if said else done.returncode}")

    def _pause(self) -> None:
        self._renew()
        self._clock.sleep(_LOOK_EVERY_S)
