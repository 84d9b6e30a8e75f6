"""What a device should have: files, by path, content and mode. Pure: from settings to text."""

from __future__ import annotations

import hashlib
import re

import msgspec

from edgetl.errors import UsageError
from edgetl.flasher.provision import places
from edgetl.flasher.provision.places import Places
from edgetl.flasher.provision.unit import service_unit
from edgetl.runtime.device_config import DeviceConfig
from edgetl.runtime.interpreters.registry import INTERPRETERS

_LOGIN = re.compile(
    r"[a-z_][a-z0-9_.-]{0,31}"
)  # what useradd(8) lets through, and nothing that sudoers reads otherwise


class ManagedFile(msgspec.Struct, frozen=True):
    """A file that edgetl writes on a device. `owner`: whose it is; `secret`: not readable by others."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"

    @property
    def sha256(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.content.encode()).hexdigest()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator asked for, as texts of files.

    Without a `line`, the service looks through the camera of the settings; without `signers` or `revoked`, those that
    the device has stay.
    """

    config: DeviceConfig
    config_text: str
    signers: str | None = None
    revoked: str | None = None
    line: str | None = None


def device_extra(config: DeviceConfig) -> str:
    """edgetl's extra for a device: the one with the interpreter that its settings name, else the one with LiteRT."""
    name = config.interpreter or "litert"
    # One library may run in several ways, which begin with its name: onnxruntime-cuda.
    return next(extra for known, (_, _, extra) in INTERPRETERS.items() if f"{name}-".startswith(f"{known}-"))


def _command(where: Places) -> str:
    return f"""\
#!/bin/sh
# Written by `edgetl device init`. What touches the slots runs as their owner, whoever is logged in.
if [ "$1" = slot ]; then
  set -- "$@" --root {where.root}
  if [ "$(id -u)" = 0 ]; then exec runuser -u {places.USER} -- {where.program} "$@"; fi
  if [ "$(id -un)" != {places.USER} ]; then exec sudo -n -u {places.USER} {where.program} "$@"; fi
fi
exec {where.program} "$@"
"""


def _tmpfiles(where: Places) -> str:
    return f"""\
# Written by `edgetl device init`: what need not outlive a boot stays off the card.
d /run/edgetl 0755 {places.USER} {places.USER}
L+ {where.root}/run - - - - /run/edgetl
"""


def managed_files(wanted: Wanted, login: str) -> list[ManagedFile]:
    """Every file that init writes, for a device that the workstation logs in to as `login`."""
    where = Places.of(wanted.config.paths)
    arguments = f"run --slot {where.root} --config {where.line_file} --device {where.config_file}"
    files = [
        ManagedFile(places.COMMAND, _command(where), 0o755),
        ManagedFile(places.TMPFILES, _tmpfiles(where)),
        ManagedFile(places.UNIT, service_unit(wanted.config, arguments)),
        ManagedFile(where.config_file, wanted.config_text),
        ManagedFile(where.line_file, wanted.line if wanted.line is not None else _line(wanted.config)),
    ]
    texts = {"allowed_signers": wanted.signers, "revoked": wanted.revoked}
    files += [ManagedFile(f"{where.root}/{name}", text) for name, text in texts.items() if text is not None]
    if login != "root":
        files.append(ManagedFile(places.SUDOERS, _sudoers(login, where), 0o440))
    return files


def _line(config: DeviceConfig) -> str:
    """A line's file rather than a flag: with one, the service waits for a camera that is not there yet."""
    return f"# Written by `edgetl device init`, which was given no --line.\nsource: {config.camera or '/dev/video0'}\n"


def _sudoers(login: str, where: Places) -> str:
    if not _LOGIN.fullmatch(login):
        raise UsageError(f"the login name {login!r} cannot stand in a sudoers file; log in as another user")
    return (
        "# Written by `edgetl device init`: who may flash this device without a password.\n"
        f"{login} ALL=({places.USER}) NOPASSWD: {where.program} slot *\n"
    )
