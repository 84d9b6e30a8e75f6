"""Where things lie on a device: one folder, the device's root, which no other program writes to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from edgetl.errors import storage
from edgetl.runtime.files import point, sync

Slot = Literal["a", "b"]
SLOTS: tuple[Slot, ...] = get_args(Slot)
DEFAULT_ROOT = Path("/var/lib/edgetl")


def other(slot: Slot) -> Slot:
    """The slot that is not this one."""
    return "b" if slot == "a" else "a"


class DeviceRoot(msgspec.Struct, frozen=True):
    """The paths under a device's root.

    `run` holds what need not outlive a boot (the service's pulse); on a device it is a link into /run, which spares
    the card.
    """

    path: Path = DEFAULT_ROOT

    def folder(self, slot: Slot) -> Path:
        """A slot's folder."""
        return self.path / "slots" / slot

    def bundle(self, slot: Slot) -> Path:
        """The bundle in a slot."""
        return self.folder(slot) / "bundle.edgetl"

    @property
    def current(self) -> Path:
        """The link to the slot that runs."""
        return self.path / "current"

    @property
    def journal(self) -> Path:
        """What happened, one JSON line each."""
        return self.path / "journal"

    @property
    def staging(self) -> Path:
        """Where uploads arrive and wait for their rehearsal."""
        return self.path / "staging"

    @property
    def lease(self) -> Path:
        """Who is flashing this device."""
        return self.path / "lock"

    @property
    def allowed_signers(self) -> Path:
        """Whose signatures count, in the format of ssh-keygen(1), ALLOWED SIGNERS."""
        return self.path / "allowed_signers"

    @property
    def revoked(self) -> Path:
        """Keys that no longer count: a key revocation list or public keys, one a line."""
        return self.path / "revoked"

    @property
    def config(self) -> Path:
        """The device's settings."""
        return self.path / "config.yaml"

    @property
    def line(self) -> Path:
        """The line's file, for the service that runs from here."""
        return self.path / "line.yaml"

    @property
    def collected(self) -> Path:
        """Pictures kept for people to label, where the line's file names this folder."""
        return self.path / "collected"

    @property
    def run(self) -> Path:
        """What need not outlive a boot."""
        return self.path / "run"

    @property
    def pulse(self) -> Path:
        """How the running service is, written by itself."""
        return self.run / "service.json"

    def pointed(self) -> Slot | None:
        """The slot that `current` points to; None if it points to none."""
        try:
            target = str(self.current.readlink())
        except OSError:
            return None
        return next((slot for slot in SLOTS if target == f"slots/{slot}"), None)

    def point_to(self, slot: Slot) -> None:
        """Swaps `current`, in one step that a power cut cannot halve. Raises StorageError."""
        point(self.current, f"slots/{slot}")

    def prepare(self) -> list[str]:
        """Makes the folders that are missing and returns their names; nothing that is there is touched."""
        made = []
        with storage(self.path):
            for folder in (*(self.folder(slot) for slot in SLOTS), self.staging, self.run):
                if not folder.exists() and not folder.is_symlink():
                    folder.mkdir(parents=True)
                    sync(folder.parent)
                    made.append(str(folder.relative_to(self.path)))
            if made:
                sync(self.path)
        return made
