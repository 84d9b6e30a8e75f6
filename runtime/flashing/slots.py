"""Fills slots and swaps between them: each act is announced in the journal before it is done, and can be finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from edgetl.errors import EdgetlError, FlashError, StorageError
from edgetl.runtime.bundle import open_file
from edgetl.runtime.files import move_in
from edgetl.runtime.flashing.clock import Clock
from edgetl.runtime.flashing.history import History
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot, Slot, other
from edgetl.runtime.flashing.records import Activating, Committed, Filled, Filling, Installed, Returning
from edgetl.runtime.flashing.settings import FlashSettings
from edgetl.runtime.flashing.staging import sha256_of
from edgetl.runtime.flashing.start import Limits, Start, decide_start


class Slots:
    """The two slots of a device root, and the link that says which of them runs."""

    def __init__(self, root: DeviceRoot, clock: Clock) -> None:
        self.root = root
        self.clock = clock
        self.journal = Journal(root.journal)

    def verified(self, slot: Slot) -> tuple[Installed, IO[bytes]]:
        """The release in a slot and its open file, which is what the journal says. Reads all of it.

        Raises FlashError if it is missing, or not what the journal says lies there.
        """
        known = {release.sha256: release for release in self.journal.history().slots[slot].releases}
        if not known:
            raise FlashError("it is empty")
        try:
            file = open_file(self.root.bundle(slot))
        except EdgetlError as error:
            raise FlashError(f"its bundle cannot be read ({error})") from error
        try:
            return known[sha256_of(file)], file
        except KeyError:
            file.close()
            raise FlashError("its bundle is damaged") from None
        except OSError as error:
            file.close()
            raise FlashError(f"its bundle cannot be read ({error})") from error

    def broken(self, slot: Slot) -> str | None:
        """Why a slot's bundle cannot be run, or None."""
        try:
            self.verified(slot)[1].close()
        except FlashError as error:
            return str(error)
        return None

    def next_start(self, settings: FlashSettings, broken: Callable[[Slot], str | None] | None = None) -> Start:
        """Which slot a service that starts now runs, and why. Changes nothing. `broken` as above, by default."""
        limits = Limits(settings.max_crashes, settings.crash_window_s)
        history, now = self.journal.history(), self.clock.now()
        return decide_start(history, self.root.pointed(), broken or self.broken, now, limits)

    def fill(self, release: Installed, staged: Path) -> Slot:
        """Moves a staged release into the slot that does not run, and returns that slot. Raises StorageError."""
        pointed = self.root.pointed()
        slot = other(pointed) if pointed is not None else "a"
        self.journal.append(Filling(at=self.clock.now(), slot=slot, release=release))
        move_in(staged, self.root.bundle(slot))
        self.journal.append(Filled(at=self.clock.now(), slot=slot, release=release))
        return slot

    def activate(self, slot: Slot, trial_s: float) -> None:
        """Points to a filled slot, on trial. Raises StorageError."""
        previous = self.root.pointed()
        self.journal.append(Activating(at=self.clock.now(), slot=slot, previous=previous, trial_s=trial_s))
        self.root.point_to(slot)

    def commit(self, slot: Slot, reason: str) -> bool:
        """Ends a trial well; False if it is over already. Raises StorageError."""

        def on_trial(history: History) -> bool:
            return history.trial is not None and history.trial.slot == slot and self.root.pointed() == slot

        return self.journal.append_if(Committed(at=self.clock.now(), slot=slot, reason=reason), on_trial)

    def finish_return(self) -> None:
        """Swaps `current` as a return announced that was cut short before it did. Raises StorageError."""
        wanted = self.journal.history().returning
        if wanted is not None and wanted != self.root.pointed():
            self.root.point_to(wanted)

    def go_back(self, left: Slot, reason: str, *, failed: bool) -> Slot:
        """Points back to the other slot. Raises FlashError if that one cannot run, StorageError.

        A release that failed is left even where the journal cannot be written: the link alone says then what runs.
        """
        slot = other(left)
        obstacle = self.journal.history().slots[slot].failed or self.broken(slot)
        if obstacle is not None:
            raise FlashError(f"cannot go back to slot {slot}: {obstacle}; flash a release")
        try:
            self.journal.append(Returning(at=self.clock.now(), slot=slot, left=left, reason=reason, failed=failed))
        except StorageError:
            if not failed:
                raise
        self.root.point_to(slot)
        return slot
