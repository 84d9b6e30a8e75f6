"""What may come in: everything that can be told from a manifest, before a byte of the bundle is sent."""

from __future__ import annotations

import datetime

import msgspec

from edgetl.errors import ExpiredError, StorageError, TargetError
from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.records import Installed
from edgetl.runtime.manifest import Manifest, Release


class Here(msgspec.Struct, frozen=True):
    """The device, as far as a release may depend on it."""

    architecture: str
    device: str | None
    edgetl: str
    interpreters: tuple[str, ...]
    formats: tuple[str, ...]


def check_target(manifest: Manifest, here: Here) -> None:
    """Raises TargetError if the release is for another device, processor or runtime."""
    release = manifest.release or Release()
    if release.architectures and here.architecture not in release.architectures:
        wanted = ", ".join(release.architectures)
        raise TargetError(
            f"{manifest.name} is for {wanted}, this device is {here.architecture}; flash a release for it"
        )
    if release.devices and here.device not in release.devices:
        wanted = ", ".join(release.devices)
        raise TargetError(
            f"{manifest.name} is for {wanted}, this device is {here.device or 'unnamed (flashing.device in its config)'}"
        )
    if release.min_edgetl and _version(here.edgetl) < _version(release.min_edgetl):
        raise TargetError(
            f"{manifest.name} needs edgetl {release.min_edgetl}, this device has {here.edgetl}; update it: edgetl device init"
        )
    offered = {m.format for m in manifest.models if m.precision != "float32"}
    if not offered & set(here.formats):
        raise TargetError(
            f"{manifest.name} holds {', '.join(sorted(offered)) or 'no int8'} models, the device's interpreters "
            f"({', '.join(here.interpreters) or 'none'}) read {', '.join(here.formats) or 'nothing'}"
        )


def _version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version; a pre-release counts as its release."""
    numbers = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def order_trouble(release: Installed, running: Installed | None, newest: Installed | None) -> str | None:
    """Why a release is out of order here, or None.

    `running` is the release that runs, `newest` the one that was committed last: after a rollback they differ, and what
    was left on purpose must not let anything older than it come in.
    """
    known = [found for found in (running, newest) if found is not None]
    if not known:
        return None
    last = max(known, key=lambda found: found.number)
    where = "which runs" if running == last else "the newest that ran here"
    if release.number < last.number:
        return f"{release.name} is release {release.number}, older than {last.name} ({last.number}), {where}"
    same = release.number == last.number != 0  # without a number there is no order
    if same and release.manifest_sha256 != last.manifest_sha256:
        return f"{release.name} is release {release.number}, and so is {last.name}, {where}, with another content"
    return None


def check_expiry(manifest: Manifest, now: Moment) -> str | None:
    """A warning if the release's time has passed; raises ExpiredError if the clock can be trusted to say so."""
    expires = manifest.release.expires if manifest.release is not None else None
    if expires is None:
        return None
    end = datetime.datetime.fromisoformat(f"{expires}T23:59:59+00:00")
    if now.wall_s <= end.timestamp():
        return None
    if now.synchronised:
        raise ExpiredError(f"{manifest.name} was to be used until {expires}; it is {now.text}: flash a newer release")
    return f"{manifest.name} was to be used until {expires}; the clock, which nothing has set right, says {now.text}"


def check_room(wanted: int, free: int, spare: int) -> None:
    """Raises StorageError if `wanted` more bytes would leave less than `spare` free."""
    if wanted + spare > free:
        raise StorageError(
            f"the device has {free / 1e6:.1f} MB free, the release needs {wanted / 1e6:.1f} MB and {spare / 1e6:.1f} MB "
            "must stay free; make room on it"
        )
