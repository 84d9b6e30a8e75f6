"""The running service's tie to its slot: which bundle it runs, its pulse, and its end between two parts."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from typing import IO, NamedTuple, Protocol

from edgetl.errors import BundleHashError, BusyError, EdgetlError, FlashError, StorageError, storage
from edgetl.runtime.bundle import Bundle, read_bundle
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.flashing.clock import Clock, Moment
from edgetl.runtime.flashing.facts import settings_of
from edgetl.runtime.flashing.layout import DeviceRoot, Slot, other
from edgetl.runtime.flashing.pulse import PERIOD_S, Pulse, write_pulse
from edgetl.runtime.flashing.records import Halted, Installed, Returning, Started, Stopped
from edgetl.runtime.flashing.requirements import judge_trial
from edgetl.runtime.flashing.slots import Slots
from edgetl.runtime.flashing.start import Start, decide_unnoted
from edgetl.runtime.status import StatusBoard


class Inspecting(Protocol):
    """What is asked of the line."""

    board: StatusBoard

    @property
    def part_in_view(self) -> bool:
        """Whether a part is in view or awaited."""

    def stop_between_parts(self) -> None:
        """Ends the run once no part is in view."""

    def stop(self) -> None:
        """Ends the run now."""


class SlotService:
    """One start of the service on a device root. `slot` and `release` are None in safe mode, whose reason is `reason`;
    `unnoted` says why the journal does not know of this start, if so."""

    def __init__(
        self, root: DeviceRoot, clock: Clock, lock: int, start: Start, found: Verified | None, unnoted: str = ""
    ) -> None:
        self.root = root
        self.slot: Slot | None = start.slot
        self.reason = start.reason
        self.unnoted = unnoted
        self.release: Installed | None = found.release if found is not None else None
        self._file = found.file if found is not None else None
        self._clock = clock
        self._lock = lock
        self._slots = Slots(root, clock)
        self._config: DeviceConfig = settings_of(root)
        history = self._slots.journal.history()
        self._on_trial = history.trial is not None and history.trial.slot == start.slot
        self._pointed = root.pointed()  # the slot that runs, unless that could not be noted
        self._done = threading.Event()
        self._watcher: threading.Thread | None = None
        self.moved = False  # `current` points elsewhere: start again

    @property
    def takeover_s(self) -> float:
        """Within it the next start must inspect."""
        return self._config.flashing.takeover_s

    @classmethod
    def begin(cls, root: DeviceRoot, clock: Clock) -> SlotService:
        """Decides which slot runs, swaps back if need be, and notes the start; on a disk that takes no note it runs
        all the same.

        Raises BusyError if the service runs already, UsageError for a root that nothing prepared, StorageError.
        """
        lock = _only_one(root)
        slots = Slots(root, clock)
        slots.journal.compact()
        opened = _Opened(slots)
        start, unnoted = slots.next_start(settings_of(root).flashing, opened.broken), ""
        try:
            carry_out(start, slots)
            slots.journal.append(Started(at=clock.now(), slot=start.slot, pid=os.getpid()))
        except StorageError as error:
            start, unnoted = decide_unnoted(start, slots.journal.history(), opened.broken), str(error)
        return cls(root, clock, lock, start, opened.only(start.slot), unnoted)

    def bundle(self) -> Bundle:
        """The bundle that runs: the file that was verified, whatever lies in its place by now. Raises BundleError."""
        if self._file is None or self.release is None:
            raise AssertionError("in safe mode there is no bundle")
        path = self.root.bundle(self.slot or "a")
        bundle, self._file = read_bundle(path, self._file), None
        if hashlib.sha256(bundle.manifest_bytes).hexdigest() != self.release.manifest_sha256:
            bundle.close()
            raise BundleHashError(f"{path}: holds another manifest than the release that was flashed; flash it again")
        return bundle

    def watch(self, line: Inspecting) -> None:
        """From now on writes the pulse, and ends the line between two parts when `current` is swapped."""
        self._watcher = threading.Thread(target=self._watch, args=(line,), daemon=True, name="slot")
        self._watcher.start()

    def end(self, error: BaseException | None = None) -> None:
        """Notes that the service ends on purpose; a model that fails counts as a crash, a camera that is away does not."""
        self._done.set()
        if self._watcher is not None:
            self._watcher.join()
        blamed = isinstance(error, EdgetlError) and error.code in (
            "E_MODEL",
            "E_FORMAT",
            "E_SIZE",
            "E_HASH",
            "E_GOLDEN",
        )
        unknown = error is not None and not isinstance(error, (EdgetlError, KeyboardInterrupt, SystemExit))
        if not blamed and not unknown:
            with contextlib.suppress(StorageError):  # it ends all the same, and counts as a crash
                self._slots.journal.append(Stopped(at=self._clock.now(), pid=os.getpid()))
        if self._file is not None:
            self._file.close()
        os.close(self._lock)

    def _watch(self, line: Inspecting) -> None:
        began = self._clock.now()
        asked: Moment | None = None
        while not self._done.wait(PERIOD_S):
            now = self._clock.now()
            with contextlib.suppress(StorageError):  # a full /run must not end the line; the pulse then goes stale
                write_pulse(self.root, self._pulse(line, began, now))
            self._mind_trial(line, began, now)
            pointed = self.root.pointed()
            if pointed is not None and pointed != self._pointed and asked is None:
                self.moved, asked = True, now
                line.stop_between_parts()
            if asked is not None and now.boot_s - asked.boot_s > self._config.flashing.defer_s:
                line.stop()

    def _pulse(self, line: Inspecting, began: Moment, now: Moment) -> Pulse:
        status = line.board.snapshot()
        return Pulse(
            at=now, pid=os.getpid(), slot=self.slot, sha256=self.release.sha256 if self.release else None,
            uptime_s=now.boot_s - began.boot_s, frames=status.frames, judged=status.judged,
            faults=status.verdicts["FAULT"], frame_age_s=status.last_frame_age_s,
            latency_ms=status.latency_ms.get("p90_ms"), part_in_view=line.part_in_view, error=status.error,
        )  # fmt: skip

    def _mind_trial(self, line: Inspecting, began: Moment, now: Moment) -> None:
        """Ends a trial whose flash was lost: the workstation's side would have ended it before this."""
        if not self._on_trial or self.slot is None or self.release is None:
            return
        trial = self._slots.journal.history().trial
        if trial is None:
            self._on_trial = False
            return
        limit_s = trial.trial_s + self._config.flashing.takeover_s
        if now.boot_s - began.boot_s < limit_s:
            return
        verdict = judge_trial(
            self.release.sha256, None, self._pulse(line, began, now), began, now, trial.trial_s, self._config.flashing,
            self._config.budget.latency_ms,
        )  # fmt: skip
        with contextlib.suppress(FlashError, StorageError):
            if verdict.state == "passed":
                self._slots.commit(self.slot, verdict.reason)
            elif verdict.state == "failed" and trial.previous is not None:
                self._slots.go_back(self.slot, f"failed its trial: {verdict.reason}", failed=True)


class Verified(NamedTuple):
    """A slot's release and its open file."""

    release: Installed
    file: IO[bytes]


class _Opened:
    """Slots' files as a decision asks for them, kept open: what was verified is what is loaded."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._found: dict[Slot, Verified] = {}

    def broken(self, slot: Slot) -> str | None:
        """Why a slot cannot be run, or None."""
        if slot in self._found:
            return None
        try:
            self._found[slot] = Verified(*self._slots.verified(slot))
        except FlashError as error:
            return str(error)
        return None

    def only(self, slot: Slot | None) -> Verified | None:
        """That slot's file; the other one is closed."""
        for other_slot, found in self._found.items():
            if other_slot != slot:
                found.file.close()
        return self._found[slot] if slot is not None else None


def _only_one(root: DeviceRoot) -> int:
    """A lock for the life of the process: two services would each count the other's start as a crash."""
    try:
        root.run.mkdir(parents=True, exist_ok=True)
        fd = os.open(root.run / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        with storage(root.path):  # where no file can be made, the folder serves
            fd = os.open(root.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise BusyError(f"{root.path}: the service runs already; stop it first") from None
    return fd


def carry_out(start: Start, slots: Slots) -> None:
    """Makes `current` and the journal say what was decided."""
    now, history = slots.clock.now(), slots.journal.history()
    if start.step == "return" and start.slot is not None:
        if history.returning != start.slot:
            left = start.left or other(start.slot)
            slots.journal.append(
                Returning(at=now, slot=start.slot, left=left, reason=start.reason, failed=start.failed)
            )
        slots.root.point_to(start.slot)
    if start.step == "safe mode" and history.halted != start.reason:
        slots.journal.append(Halted(at=now, left=start.left, reason=start.reason))
