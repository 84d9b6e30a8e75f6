"""A device to flash in tests: a root folder, a clock that goes only when told, and a service that follows `current`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetl.flasher import signing
from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.facts import release_in
from edgetl.runtime.flashing.flash import Admitted, Announcement, Flash
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot, Slot
from edgetl.runtime.flashing.lease import holding
from edgetl.runtime.flashing.pulse import Pulse, write_pulse
from edgetl.runtime.flashing.records import Filled, Installed, Started
from edgetl.runtime.flashing.slots import Slots
from edgetl.runtime.manifest import Release
from tests.runtime import tiny

OWNER = "100@desk"


class StillClock:
    """Stands still but for `sleep`, which may also let a service do something."""

    def __init__(self, boot: str = "boot-1", wall_s: float = 1.9e9, synchronised: bool = True) -> None:
        self.boot, self.boot_s, self.wall_s, self.synchronised = boot, 1000.0, wall_s, synchronised
        self.each: list[Callable[[], None]] = []

    def now(self) -> Moment:
        return Moment(self.boot, self.boot_s, self.wall_s, self.synchronised)

    def sleep(self, seconds: float) -> None:
        self.boot_s += seconds
        self.wall_s += seconds
        for act in self.each:
            act()

    def reboot(self) -> None:
        self.boot, self.boot_s = f"{self.boot}+", 10.0


class ShownService:
    """Stands for the inspection: at each tick of the clock it follows `current` and writes its pulse.

    `takes` says which releases it manages to run; what it tells of itself is in `facts`, by release.
    """

    def __init__(self, root: DeviceRoot, clock: StillClock) -> None:
        self.root, self.clock = root, clock
        self.facts: dict[str, dict[str, Any]] = {}
        self.takes: Callable[[str], bool] = lambda _: True
        self.slot: Slot | None = None
        self.sha256: str | None = None
        self.began = clock.boot_s
        self.silent = False
        clock.each.append(self.beat)
        self.beat()

    def beat(self) -> None:
        pointed = self.root.pointed()
        release = release_in(Journal(self.root.journal).history(), pointed)
        if pointed != self.slot and release is not None and self.takes(release.sha256):
            self.slot, self.sha256, self.began = pointed, release.sha256, self.clock.boot_s
        if not self.silent:
            up = self.clock.boot_s - self.began
            told = {"frames": int(up * 30), "judged": int(up * 5), "frame_age_s": 0.01, "latency_ms": 5.0}
            told.update(self.facts.get(self.sha256 or "", {}))
            write_pulse(
                self.root, Pulse(at=self.clock.now(), pid=7, slot=self.slot, sha256=self.sha256, uptime_s=up, **told)
            )


def configure(root: DeviceRoot, text: str = "", **flashing: Any) -> None:
    """Writes the device's settings; without signatures unless they are asked for."""
    flashing = {"signatures": "off", "spare_mb": 0, "trial_s": 2, "defer_s": 3, "stall_s": 2, **flashing}
    section = msgspec.json.encode(flashing).decode()
    root.config.write_text(f"architecture: x86_64\nflashing: {section}\n{text}")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[DeviceRoot]:
    """A prepared device root; in memory where there is such a place, since these tests sync hundreds of times."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        found = DeviceRoot(Path(folder) / "device")
        found.prepare()
        configure(found)
        yield found


def small_device(disk: Path, memory: Path, **flashing: Any) -> DeviceRoot:
    """A device that is set up on `disk`. As on a real one, its pulse is not there but in memory."""
    root = DeviceRoot(disk / "device")
    root.path.mkdir()
    (memory / "run").mkdir()
    root.run.symlink_to(memory / "run")
    root.prepare()
    configure(root, **flashing)
    return root


def install(root: DeviceRoot, slot: Slot, clock: StillClock, name: str = "old", number: int = 1) -> Installed:
    """Puts a small file into a slot as if it had been flashed, for tests that never open it."""
    content = f"{name} {number}".encode()
    root.bundle(slot).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    release = Installed(sha256=digest, manifest_sha256=digest, size=len(content), name=name, number=number)
    Journal(root.journal).append(Filled(at=clock.now(), slot=slot, release=release))
    return release


def start(root: DeviceRoot, clock: StillClock, pid: int = 1) -> Slot | None:
    """One start of the service, as `SlotService.begin` does it, without its lock."""
    from edgetl.runtime.flashing.facts import settings_of
    from edgetl.runtime.flashing.service import carry_out

    slots = Slots(root, clock)
    decided = slots.next_start(settings_of(root).flashing)
    carry_out(decided, slots)
    slots.journal.append(Started(at=clock.now(), slot=decided.slot, pid=pid))
    return decided.slot


class Bytes:
    """An upload that breaks off after some bytes."""

    def __init__(self, data: bytes, chunk: int = 7000) -> None:
        self._data, self._chunk = data, chunk

    def read(self, size: int) -> bytes:
        piece, self._data = self._data[: min(size, self._chunk)], self._data[min(size, self._chunk) :]
        return piece


@contextlib.contextmanager
def flashing(root: DeviceRoot, clock: StillClock, owner: str = OWNER) -> Iterator[Flash]:
    """The device's side of one flash, its lease held."""
    with holding(root, owner, clock, 120.0) as holder:
        yield Flash(root, clock, holder)


def announce(path: Path, **changes: Any) -> Announcement:
    """What a workstation would announce of this file."""
    from edgetl.flasher.flash import load

    cargo = load(path)
    found = Announcement(sha256=cargo.sha256, size=cargo.size, manifest=cargo.manifest, signature=cargo.signature)
    return msgspec.structs.replace(found, **changes)


def bring(root: DeviceRoot, clock: StillClock, path: Path) -> Admitted:
    """Announces and uploads a whole release."""
    announced = announce(path)
    with flashing(root, clock) as flash:
        admitted = flash.begin(announced, OWNER)
        if not admitted.arrived.complete:
            flash.receive(announced.sha256, announced.size, 0, Bytes(path.read_bytes(), 1 << 20))
    return admitted


def tiny_release(path: Path, name: str = "plain", number: int = 2, **release: Any) -> Path:
    """An unsigned release of the tiny bundle, newer than what `install` puts there."""
    files = tiny.content()
    told = {"number": number, **release}
    return tiny.write(path, files, manifest=tiny.manifest_of(files, name=name, release=told))


def keygen(*arguments: object) -> None:
    """Runs ssh-keygen."""
    subprocess.run(["ssh-keygen", *map(str, arguments)], check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Keys:
    """SSH keys made for the tests, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path)
        return path

    def line(self, name: str, options: str = "") -> str:
        """This key's line in a list of allowed signers."""
        kind, key, _ = Path(f"{self(name)}.pub").read_text().split()
        return f"{name}@plant {options} {kind} {key}\n"

    def sign(self, bundle: Path, name: str, **release: Any) -> Path:
        """The bundle as a release signed with this key, in a file beside it."""
        out = bundle.with_name(f"{bundle.stem}.{name}.{release.get('number', 1)}.edgetl")
        signing.sign(bundle, out, self(name), Release(**{"number": 1, **release}))
        return out
