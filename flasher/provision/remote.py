"""Scripts on a device: with whose rights they run, and what an answer of theirs means."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from edgetl.errors import ProvisionError
from edgetl.flasher.provision.changes import Change
from edgetl.flasher.provision.wheelhouse import Wheel
from edgetl.flasher.transport import Completed

_CHUNK = 1 << 20


class Shell(Protocol):
    """A way to run a command line in a device's shell."""

    name: str

    def execute(self, command: str, content: Iterable[bytes] = (), timeout_s: float = 60.0) -> Completed:
        """Runs it with `content` on its input. Raises TransportError, HostKeyError."""


def ask(shell: Shell, script: str, timeout_s: float = 120.0) -> str:
    """What a script prints that needs no rights. Raises ProvisionError."""
    done = shell.execute("sh -s", [script.encode()], timeout_s)
    if done.code != 0:
        raise ProvisionError(f"{shell.name}: cannot look at it: {_last(done.err)}")
    return done.out


def carry_out(shell: Shell, change: Change, *, as_root: bool) -> str:
    """Makes one change and returns what its script printed. `as_root`: the login is root's. Raises ProvisionError."""
    command = shlex.join([*([] if as_root else ["sudo", "-n"]), "sh", "-c", change.script])
    content = archive(change.wheels) if change.wheels else [change.text.encode()]
    done = shell.execute(command, content, change.timeout_s)
    if done.code != 0:
        raise ProvisionError(
            f"{shell.name}: {change.what}: {_last(done.err)}; mend it and run the command again, which goes on from here"
        )
    return done.out


def archive(wheels: Iterable[Wheel]) -> Iterator[bytes]:
    """Wheels as a tar archive, piece by piece."""
    for wheel in wheels:
        path = Path(wheel.path)
        head = tarfile.TarInfo(path.name)
        head.size, head.mode = path.stat().st_size, 0o644
        yield head.tobuf()
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece
        yield bytes(-head.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]
