"""What is flashed, signed with a key made for this, and the steps of a flash in this process."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgetl.benchmarks.flash_cuts.programs import do
from edgetl.runtime.bundle import open_bundle, open_file
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.flash import Announcement, Flash
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.lease import holding
from edgetl.runtime.flashing.signed_head import read_signed_head

OWNER = "1@benchmark"


class Cargo(msgspec.Struct, frozen=True):
    """A bundle's file and what is announced of it."""

    data: bytes
    announcement: Announcement

    @classmethod
    def of(cls, path: Path) -> Cargo:
        """Reads a signed bundle."""
        data = path.read_bytes()
        with open_bundle(path), open_file(path) as file:
            head = read_signed_head(file, str(path))
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(data, Announcement(sha256=sha256, size=len(data), manifest=head.manifest, signature=head.signature))

    @property
    def sha256(self) -> str:
        """Of the whole file."""
        return self.announcement.sha256


class Releases(msgspec.Struct, frozen=True):
    """What is flashed, in the order of their numbers, and whom the device trusts."""

    first: Cargo
    old: Cargo
    new: Cargo
    signers: str


def signed(old: Path, new: Path, folder: Path) -> Releases:
    """Three releases of the two bundles, signed with a key made for this."""
    key = folder / "key"
    do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    first, before, after = (
        Cargo.of(_numbered(bundle, key, number, folder)) for number, bundle in enumerate((old, old, new), 1)
    )
    return Releases(first, before, after, f"benchmark {Path(f'{key}.pub').read_text()}")


def _numbered(bundle: Path, key: Path, number: int, folder: Path) -> Path:
    out = folder / f"{number}.edgetl"
    command = [sys.executable, "-m", "edgetl", "sign", str(bundle), "--key", str(key), "--number", str(number)]
    do(*command, "--out", str(out))
    return out


class _All:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        return piece


@contextmanager
def flashing(root: DeviceRoot) -> Iterator[Flash]:
    """The steps of a flash in this process."""
    clock = SystemClock()
    with holding(root, OWNER, clock, 60.0) as holder:
        yield Flash(root, clock, holder)


def flash_whole(root: DeviceRoot, cargo: Cargo, until: str = "activate", share: float = 1.0) -> None:
    """The same steps in this process, without a cut, up to one of them; `share`: how much is received."""
    told = cargo.announcement
    with flashing(root) as flash:
        admitted = flash.begin(told, OWNER)
        if admitted.running or until == "begin":
            return
        if not admitted.on_trial:
            arrived = admitted.arrived
            if not arrived.complete:
                end = int(share * told.size)
                flash.receive(told.sha256, told.size, arrived.size, _All(cargo.data[arrived.size : end]))
            if until == "receive":
                return
            flash.rehearse(told.sha256)
        if until == "activate":
            flash.activate(told.sha256, None)
