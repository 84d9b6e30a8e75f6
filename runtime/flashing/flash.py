"""One flash on the device's side, step by step; each step may be cut short anywhere and called again."""

from __future__ import annotations

import contextlib
import hashlib
from typing import IO

import msgspec

from edgetl.errors import (
    BundleHashError,
    BusyError,
    DowngradeError,
    EdgetlError,
    HealthError,
    SourceError,
    StorageError,
    UploadError,
)
from edgetl.runtime.bundle import open_file
from edgetl.runtime.config import load_line
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.flashing.activation import Activated, Activation
from edgetl.runtime.flashing.admission import check_expiry, check_room, check_target, order_trouble
from edgetl.runtime.flashing.clock import Clock, Moment
from edgetl.runtime.flashing.facts import device, free_bytes, release_in, settings_of
from edgetl.runtime.flashing.history import History
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot, Slot
from edgetl.runtime.flashing.lease import Holder
from edgetl.runtime.flashing.pulse import Pulse, read_pulse
from edgetl.runtime.flashing.records import Begun, Installed, Refused, Rehearsed
from edgetl.runtime.flashing.rehearsal import rehearse
from edgetl.runtime.flashing.requirements import Rehearsal, rehearsal_trouble
from edgetl.runtime.flashing.signature import DOWNGRADE_NAMESPACE, check_signature
from edgetl.runtime.flashing.signed_head import read_signed_head
from edgetl.runtime.flashing.slots import Slots
from edgetl.runtime.flashing.staging import Arrived, Incoming, Staging, sha256_of
from edgetl.runtime.manifest import parse_manifest


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What the workstation is about to send: size and hash of the file, the manifest in it, and its signature.

    `allow_downgrade` with, where the device requires signatures, a `permit`: a signature over `permit_text`.
    """

    sha256: str
    size: int
    manifest: bytes
    signature: bytes = b""
    allow_downgrade: bool = False
    permit: bytes = b""


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """The device wants the release. `running`: it runs it already, and nothing need be done; `on_trial`: it runs it,
    and only the end of the trial is missing."""

    running: bool = False
    on_trial: bool = False
    arrived: Arrived
    warnings: tuple[str, ...] = ()


def permit_text(manifest: bytes, running: Installed | None) -> bytes:
    """What the downgrade key signs: this release in place of that one, so that it serves once."""
    return f"{hashlib.sha256(manifest).hexdigest()} instead of {running.sha256 if running else 'none'}\n".encode()


class Flash:
    """The steps of a flash on one device root, under a lease that the caller holds."""

    def __init__(self, root: DeviceRoot, clock: Clock, holder: Holder) -> None:
        self.root = root
        self.clock = clock
        self.journal = Journal(root.journal)
        self.staging = Staging(root)
        self.config: DeviceConfig = settings_of(root)
        self._holder = holder

    def begin(self, announced: Announcement, owner: str) -> Admitted:
        """Decides whether the release may come, before any of it is sent. Raises what speaks against it."""
        self.journal.compact()
        self.journal.reserve()
        Slots(self.root, self.clock).finish_return()
        history, now = self.journal.history(), self.clock.now()
        signer = self._signer(announced.manifest, announced.signature, now)
        manifest = parse_manifest(announced.manifest, "the release")
        release = Installed(
            sha256=announced.sha256, manifest_sha256=hashlib.sha256(announced.manifest).hexdigest(),
            size=announced.size, name=manifest.name,
            number=manifest.release.number if manifest.release else 0, signer=signer,
        )  # fmt: skip
        check_target(manifest, device(self.config))
        warning = check_expiry(manifest, now)
        warnings = (warning,) if warning is not None else ()
        here = Arrived(release.size, release.sha256, True)
        if self._runs(history, announced.sha256):
            self._holder.give_back()
            return Admitted(running=True, arrived=here, warnings=warnings)
        if self.resumable(history, announced.sha256):
            return Admitted(on_trial=True, arrived=here, warnings=warnings)
        self._check_order(release, announced, history, now)
        self._end_trial(history)
        self.staging.clear(keep=announced.sha256)
        arrived = self.staging.arrived(announced.sha256, announced.size)
        spare = int(self.config.flashing.spare_mb * 1e6)
        check_room(announced.size - arrived.size, free_bytes(self.root), spare)
        self.journal.append(Begun(at=now, release=release, owner=owner))
        return Admitted(arrived=arrived, warnings=warnings)

    def receive(self, sha256: str, size: int, offset: int, incoming: Incoming) -> Arrived:
        """Takes in the upload from `offset` on. Raises UploadError, BundleHashError, BundleSizeError, StorageError."""
        return self.staging.receive(sha256, size, offset, incoming, self._holder.renew)

    def rehearse(self, sha256: str, *, look: bool = True) -> Rehearsal:
        """Checks the whole staged release again, now that it is here, and rehearses it in a child; `look` through
        the camera too.

        Raises what speaks against it; the staged file is then removed, and the journal says why.
        """
        try:
            rehearsal = self._rehearsed(sha256, look)
        except EdgetlError as error:
            self.refuse(sha256, error)
            raise
        notes = (rehearsal.camera,) if rehearsal.camera is not None else ()
        self.journal.append(
            Rehearsed(at=self.clock.now(), sha256=sha256, latency_ms=rehearsal.latency_ms["p90_ms"], notes=notes)
        )
        return rehearsal

    def staged(self, sha256: str) -> tuple[Installed, IO[bytes]]:
        """The announced release and its staged file, open and of the right hash. Raises UploadError, BundleHashError."""
        announced = self.journal.history().announced
        path = self.staging.whole(sha256)
        if announced is None or announced.sha256 != sha256 or not path.is_file():
            raise UploadError("the release is not here, or only a part of it; run the command again")
        file = open_file(path)
        if sha256_of(file) != sha256:
            file.close()
            raise BundleHashError("the staged release was damaged on the device; run the command again")
        return announced, file

    def activate(self, sha256: str, trial_s: float | None) -> Activated:
        """Lets the rehearsed release run between two parts, and returns when it is committed.

        Raises HealthError after it went back, BusyError if a part stays in view, UploadError if it is not ready.
        """
        history, trial_s = self.journal.history(), trial_s or self.config.flashing.trial_s
        activation = Activation(self.root, self.config, self.clock, self._holder.renew)
        if history.trial is not None and self.resumable(history, sha256):
            done = activation.resume(history.trial.slot, sha256, history.trial.trial_s)
        elif self._runs(history, sha256):
            done = Activated(slot=self.root.pointed() or "a", reason="it runs already", seconds=0.0)
        else:
            before = activation.wait_between_parts()
            done = activation.run(self._filled(history, sha256), sha256, before, trial_s)
        self.staging.clear()
        self._holder.give_back()
        return done

    def roll_back(self, owner: str) -> Installed:
        """Goes back to the release in the other slot and returns it. Raises FlashError if that one cannot run."""
        Slots(self.root, self.clock).finish_return()
        activation = Activation(self.root, self.config, self.clock, self._holder.renew)
        slot = activation.go_back(f"asked for by {owner}")
        self._holder.give_back()
        release = release_in(self.journal.history(), slot)
        assert release is not None  # a slot without one is broken, and was refused
        return release

    def leave(self) -> None:
        """Gives the device back."""
        self._holder.give_back()

    def _filled(self, history: History, sha256: str) -> Slot:
        announced, file = self.staged(sha256)
        file.close()
        if not history.rehearsed:
            raise UploadError(f"{announced.name} has not passed its rehearsal here; run the command again")
        return Slots(self.root, self.clock).fill(announced, self.staging.whole(sha256))

    def resumable(self, history: History, sha256: str) -> bool:
        """Whether the release is on trial here, and the flash that brought it was cut short."""
        trial = history.trial
        if trial is None or trial.slot != self.root.pointed():
            return False
        release = release_in(history, trial.slot)
        return release is not None and release.sha256 == sha256

    def _end_trial(self, history: History) -> None:
        """Goes back from a trial that nobody waits for any more, since the slot it came from is to be filled now."""
        trial, pointed = history.trial, self.root.pointed()
        if trial is None or trial.slot != pointed or trial.previous is None:
            return
        pulse, now = read_pulse(self.root), self.clock.now()
        if pulse is not None and pulse.slot == pointed and pulse.alive(now, self.config.flashing.stall_s):
            raise BusyError(f"slot {pointed} is on trial for {trial.trial_s:g} s; wait for its end, or edgetl rollback")
        Slots(self.root, self.clock).go_back(pointed, "its trial was broken off", failed=False)

    def refuse(self, sha256: str, error: EdgetlError) -> None:
        """Ends the flash before anything that runs was touched. One that has ended already keeps its first reason."""
        announced = self.journal.history().announced
        if announced is not None and announced.sha256 == sha256:
            with contextlib.suppress(StorageError):  # the reason to refuse is what matters
                self.journal.append(Refused(at=self.clock.now(), sha256=sha256, code=error.code, reason=str(error)))
                self.staging.clear()
        self._holder.give_back()

    def _rehearsed(self, sha256: str, look: bool) -> Rehearsal:
        announced, file = self.staged(sha256)
        with file:
            if self.config.flashing.signatures == "required":
                self._check_head(file, announced)
            pulse = read_pulse(self.root)
            # A camera has one reader: where the service runs, its own frames are looked at during the trial.
            served = pulse is not None and pulse.alive(self.clock.now(), self.config.flashing.stall_s)
            camera = self._camera() if look and not served else None
            rehearsal = rehearse(file, announced, self.config, camera)
        if look and served and pulse is not None:
            rehearsal = msgspec.structs.replace(rehearsal, camera=_seen_by_the_service(pulse))
        trouble = rehearsal_trouble(rehearsal, self.config.budget.latency_ms)
        if trouble is not None:
            raise HealthError(f"{announced.name} failed its rehearsal: {trouble}")
        if rehearsal.camera_failed:
            raise SourceError(f"no camera frame: {rehearsal.camera}; mend the camera, or flash with --no-camera")
        return rehearsal

    def _camera(self) -> str | None:
        """What the service would look through: the source of the line's file, or else of the device's settings."""
        line = load_line(self.root.line) if self.root.line.is_file() else None
        return str(line.source) if line is not None and line.source is not None else self.config.camera

    def _check_head(self, file: IO[bytes], announced: Installed) -> None:
        """The signature once more, on what really arrived, and that it is what was admitted."""
        head = read_signed_head(file, announced.name)
        check_signature(self.root, head.manifest, head.signature, self.clock.now())
        if hashlib.sha256(head.manifest).hexdigest() != announced.manifest_sha256:
            raise BundleHashError(f"{announced.name}: holds another manifest than the one that was admitted")

    def _signer(self, manifest: bytes, signature: bytes, now: Moment) -> str | None:
        if self.config.flashing.signatures == "off":
            return None
        return check_signature(self.root, manifest, signature, now)

    def _check_order(self, release: Installed, announced: Announcement, history: History, now: Moment) -> None:
        """Raises DowngradeError for a release out of order that nobody permitted, or what is wrong with the permit."""
        running = self._running(history)
        trouble = order_trouble(release, running, history.newest)
        if trouble is None:
            return
        if not announced.allow_downgrade:
            raise DowngradeError(f"{trouble}; if that is meant: edgetl flash --allow-downgrade")
        if self.config.flashing.signatures == "off":
            return
        if not announced.permit.strip():
            raise DowngradeError(
                f"{trouble}; this device wants a signature for that: --allow-downgrade --downgrade-key KEY"
            )
        text = permit_text(announced.manifest, running)
        check_signature(self.root, text, announced.permit, now, DOWNGRADE_NAMESPACE)

    def _running(self, history: History) -> Installed | None:
        """The committed release that runs; one on trial does not yet set the order."""
        pointed = self.root.pointed()
        if history.trial is not None and history.trial.slot == pointed:
            pointed = history.trial.previous
        return release_in(history, pointed)

    def _runs(self, history: History, sha256: str) -> bool:
        pointed = self.root.pointed()
        release = release_in(history, pointed)
        if pointed is None or release is None or history.halted is not None:
            return False
        on_trial = history.trial is not None and history.trial.slot == pointed
        return release.sha256 == sha256 and not on_trial and history.slots[pointed].failed is None


def _seen_by_the_service(pulse: Pulse) -> str:
    if pulse.frame_age_s is None:
        return "the service has no frames"
    return f"the service: {pulse.frames} frames, the last one {pulse.frame_age_s:.1f} s ago"
