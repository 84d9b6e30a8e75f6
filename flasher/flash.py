"""One flash, from the workstation: announce, upload, rehearse, activate; each step again where a connection breaks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from edgetl.errors import (
    BundleHashError,
    EdgetlError,
    HostKeyError,
    TransportError,
    UnsignedError,
    UploadError,
    error_of,
)
from edgetl.flasher.agent import Agent
from edgetl.flasher.owner import is_dead
from edgetl.flasher.progress import Reporter
from edgetl.flasher.retrying import TRIES, Retrying
from edgetl.flasher.signing import permit
from edgetl.runtime.bundle import open_bundle, open_file
from edgetl.runtime.flashing.activation import Activated
from edgetl.runtime.flashing.facts import DeviceFacts
from edgetl.runtime.flashing.flash import Admitted, Announcement, permit_text
from edgetl.runtime.flashing.layout import Slot, other
from edgetl.runtime.flashing.requirements import Rehearsal
from edgetl.runtime.flashing.signed_head import read_signed_head
from edgetl.runtime.flashing.staging import Arrived, sha256_of

T = TypeVar("T")
_CHUNK = 256 << 10
_SLOWEST = 20_000  # bytes a second; a slower upload is given up and gone on with
_SPARE_S = 60.0  # beyond the device's own limit, for its answer to arrive


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to flash and how. `look`: take a camera frame first, where no service does."""

    bundle: Path
    allow_downgrade: bool = False
    downgrade_key: Path | None = None
    trial_s: float | None = None
    look: bool = True


class Flashed(msgspec.Struct, frozen=True, kw_only=True):
    """A flash that ended well. `sent` is what was uploaded in bytes; `changed` is False if it ran already."""

    host: str
    name: str
    number: int
    sha256: str
    changed: bool
    slot: Slot | None
    reason: str
    seconds: float
    sent: int = 0
    rehearsal: Rehearsal | None = None
    warnings: tuple[str, ...] = ()


class Cargo(msgspec.Struct, frozen=True):
    """The bundle to send, checked here: its path, size, SHA-256, name, number, and its signed head."""

    path: Path
    size: int
    sha256: str
    name: str
    number: int
    manifest: bytes
    signature: bytes


def load(path: Path) -> Cargo:
    """Checks a bundle whole and reads what will be announced of it. Raises BundleError, UsageError."""
    with open_bundle(path) as bundle, open_file(path) as file:
        try:
            signature = read_signed_head(file, str(path)).signature
        except UnsignedError:
            signature = b""  # the device says whether it wants one
        size = os.fstat(file.fileno()).st_size
        manifest = bundle.manifest
        number = manifest.release.number if manifest.release else 0
        return Cargo(path, size, sha256_of(file), manifest.name, number, bundle.manifest_bytes, signature)


class Flasher:
    """Flashes one device. `sleep` lets time pass between tries."""

    def __init__(self, agent: Agent, report: Reporter, sleep: Callable[[float], None] = time.sleep) -> None:
        self._agent = agent
        self._report = report
        self._device = Retrying(agent, sleep)
        self._sent = 0

    def flash(self, request: Request, cargo: Cargo) -> Flashed:
        """Takes the device from whatever it runs to this release, or leaves it as it was and says why."""
        started = time.monotonic()
        facts = self._device.again(self._agent.facts)
        self._device.wait_s = facts.step_s + (request.trial_s or 0.0)
        announced = _announcement(request, cargo, facts)
        admitted = self._begin(announced, facts)
        rehearsal = activated = None
        try:
            if not admitted.running and not admitted.on_trial:
                self._upload(cargo, announced, admitted.arrived)
                rehearsal = self._rehearse(request, cargo, facts)
            if not admitted.running:
                activated = self._activate(request, cargo, facts)
        except BaseException:
            self._leave()
            raise
        return Flashed(
            host=self._agent.transport.name, name=cargo.name, number=cargo.number, sha256=cargo.sha256,
            changed=activated is not None, slot=activated.slot if activated else facts.current,
            reason=activated.reason if activated else "it runs already", seconds=round(time.monotonic() - started, 2),
            sent=self._sent, rehearsal=rehearsal, warnings=admitted.warnings,
        )  # fmt: skip

    def _begin(self, announced: Announcement, facts: DeviceFacts | None = None) -> Admitted:
        take_over = []
        if facts is not None and facts.busy is not None and is_dead(facts.busy.owner):
            take_over = ["--take-over", facts.busy.owner]
            self._device.lost.add(facts.busy.owner)
        content = [msgspec.json.encode(announced)]
        return self._device.again(lambda: self._device.ask(["begin", *take_over], Admitted, content))

    def _upload(self, cargo: Cargo, announced: Announcement, arrived: Arrived) -> None:
        """Sends what is missing, and goes on after a break; what arrived altered is sent once more from the start."""
        altered = False
        for attempt in range(1, TRIES + 1):
            if arrived.complete:
                return
            offset = arrived.size if prefix_sha256(cargo.path, arrived.size) == arrived.sha256 else 0
            part = f"from byte {offset} on" if offset else ""
            self._report.step(f"sending {(cargo.size - offset) / 1e6:.1f} MB {part}".rstrip())
            try:
                arrived = self._send(cargo, offset)
            except BundleHashError:
                if altered:
                    raise
                altered, arrived = True, Arrived(0, "", False)
            except HostKeyError:
                raise
            except TransportError:
                if attempt == TRIES:
                    raise
                self._device.pause(attempt)
                arrived = self._begin(announced).arrived
        if not arrived.complete:
            raise UploadError(
                f"{self._agent.transport.name}: the upload broke off {TRIES} times; run the command again"
            )

    def _send(self, cargo: Cargo, offset: int) -> Arrived:
        arguments = ["receive", *_of(cargo), "--size", str(cargo.size), "--offset", str(offset)]
        limit = 60.0 + (cargo.size - offset) / _SLOWEST
        return self._device.ask(arguments, Arrived, self._pieces(cargo, offset), limit)

    def _pieces(self, cargo: Cargo, offset: int) -> Iterator[bytes]:
        with cargo.path.open("rb") as file:
            file.seek(offset)
            left = cargo.size - offset
            while left > 0 and (piece := file.read(min(_CHUNK, left))):
                yield piece
                left -= len(piece)
                self._sent += len(piece)
                self._report.sent(cargo.size - left, cargo.size)

    def _rehearse(self, request: Request, cargo: Cargo, before: DeviceFacts) -> Rehearsal:
        self._report.step("replaying the golden set there, and timing it")
        look = "--look" if request.look else "--no-look"
        return self._done(["rehearse", *_of(cargo), look], Rehearsal, cargo, before)

    def _activate(self, request: Request, cargo: Cargo, before: DeviceFacts) -> Activated:
        """The swap and its trial."""
        self._report.step("swapping, and watching the trial")
        trial = [] if request.trial_s is None else ["--trial", str(request.trial_s)]
        return self._done(["activate", *_of(cargo), *trial], Activated, cargo, before)

    def _done(self, step: list[str], kind: type[T], cargo: Cargo, before: DeviceFacts) -> T:
        """A step that the device ends though nobody listens: where the connection broke it is waited for, and asked
        how it went. Raises what ended the flash there."""
        limit = self._device.wait_s + _SPARE_S
        try:
            return self._device.again(lambda: self._device.ask(step, kind, timeout_s=limit))
        except UploadError:
            # The device ended this flash while nobody listened; what it noted of that is the reason.
            last = self._device.again(self._agent.facts).last
            if last is None or last == before.last or last.sha256 != cargo.sha256 or last.what == "committed":
                raise
            raise error_of(last.code or "E_HEALTH", f"{self._agent.transport.name}: {last.reason}") from None
        except HostKeyError:
            raise
        except TransportError as error:
            raise TransportError(
                f"{error}; the device goes on without us, and tells how it ended: "
                f"edgetl device status {self._agent.transport.name}"
            ) from error

    def _leave(self) -> None:
        """Gives the device back, if it can be told so; else its lease lapses."""
        with contextlib.suppress(EdgetlError):
            self._device.ask(["leave"], object)


def _announcement(request: Request, cargo: Cargo, facts: DeviceFacts) -> Announcement:
    """With a permit for the downgrade, if it is one and there is a key for it."""
    current = other(facts.current) if facts.current and facts.on_trial else facts.current
    running = facts.slots[current].release if current else None
    signed = b""
    if request.allow_downgrade and request.downgrade_key is not None and running is not None:
        signed = permit(permit_text(cargo.manifest, running), request.downgrade_key)
    return Announcement(
        sha256=cargo.sha256, size=cargo.size, manifest=cargo.manifest, signature=cargo.signature,
        allow_downgrade=request.allow_downgrade, permit=signed,
    )  # fmt: skip


def _of(cargo: Cargo) -> list[str]:
    return ["--sha256", cargo.sha256]


def prefix_sha256(path: Path, size: int) -> str:
    """The SHA-256 of a file's first `size` bytes, to compare with what arrived of it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(_CHUNK, size))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()
