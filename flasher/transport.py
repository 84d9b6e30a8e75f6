"""How a command reaches a device: one method, over SSH or on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from edgetl.errors import HostKeyError, MissingPartError, TransportError, UsageError

LOCAL = "local:"
_SSH_FAILED = 255  # ssh(1): an error of its own, not of the command
_HOST_KEY = re.compile(r"HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key is known", re.IGNORECASE)


class Completed(msgspec.Struct, frozen=True):
    """What a command on the device ended with."""

    code: int
    out: str
    err: str


class Transport(Protocol):
    """A way to one device."""

    name: str

    def run(self, arguments: list[str], content: Iterable[bytes] = (), timeout_s: float = 60.0) -> Completed:
        """Runs `edgetl slot ARGUMENTS` there with `content` on its input. Raises TransportError, HostKeyError."""


class Local:
    """A device root on this machine: `local:PATH`."""

    def __init__(self, root: Path) -> None:
        self.name = f"{LOCAL}{root}"
        self._root = root

    def run(self, arguments: list[str], content: Iterable[bytes] = (), timeout_s: float = 60.0) -> Completed:
        """Runs the command in a process of its own."""
        command = [sys.executable, "-m", "edgetl", "slot", *arguments, "--root", str(self._root)]
        return _run(self.name, command, content, timeout_s)


class Ssh:
    """A device that OpenSSH knows a way to. Its own configuration counts: users, keys, agents, jump hosts, ports.

    Commands share one connection, which stays open for a minute. A changed host key ends everything, even where the
    user's configuration would let it pass.
    """

    def __init__(self, host: str, agent: str = "edgetl", options: Iterable[str] = ()) -> None:
        if not host or host.startswith("-") or any(c.isspace() for c in host):
            raise UsageError(f"{host!r}: not a host; name one as ssh does: USER@HOST or a name of ~/.ssh/config")
        self.name = host
        self._agent = shlex.split(agent)
        self._options = [*options, *_OPTIONS, *_control()]
        self._checked = False

    def run(self, arguments: list[str], content: Iterable[bytes] = (), timeout_s: float = 60.0) -> Completed:
        """Runs the command there."""
        done = self.execute(shlex.join([*self._agent, "slot", *arguments]), content, timeout_s)
        if done.code in (126, 127):
            raise TransportError(
                f"{self.name}: no {self._agent[0]} there; set it up first: edgetl device init {self.name}"
            )
        return done

    def execute(self, command: str, content: Iterable[bytes] = (), timeout_s: float = 60.0) -> Completed:
        """Runs a command line in the device's shell. Raises TransportError, HostKeyError."""
        if not self._checked:
            self._options += self._host_key_options()
            self._checked = True
        done = _run(self.name, ["ssh", *self._options, "--", self.name, command], content, timeout_s)
        if done.code == _SSH_FAILED:
            raise _ssh_error(self.name, done.err)
        return done

    def _host_key_options(self) -> list[str]:
        """A configuration that lets changed keys pass is overruled; one that asks, or refuses, is left as it is."""
        said = _run(self.name, ["ssh", *self._options, "-G", "--", self.name], (), 20.0)
        if said.code != 0:
            raise UsageError(f"{self.name}: {_last_line(said.err) or 'ssh does not understand this host'}")
        found = re.search(r"^stricthostkeychecking (\S+)$", said.out, re.MULTILINE)
        lax = found is not None and found[1] in ("false", "no", "off")
        return ["-o", "StrictHostKeyChecking=accept-new"] if lax else []


# Never a prompt; a dead connection is noticed within 15 s; nothing of the user's that would start more than a command.
_OPTIONS = [
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "RemoteCommand=none"),
]


_MAX_SOCKET_PATH = 107  # unix(7): sun_path, without its end
_SOCKET_NAME = 1 + 40 + 17  # "/", ssh's %C, and the suffix that it has while it is made


def _control() -> list[str]:
    """One connection for all commands; its socket lies in a folder of the user's own, with a short name."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"edgetl-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
        short = len(os.fsencode(folder)) <= _MAX_SOCKET_PATH - _SOCKET_NAME
        if short and found.st_uid == os.getuid() and found.st_mode & 0o077 == 0:
            path = f"ControlPath={folder}/%C"
            return ["-o", "ControlMaster=auto", "-o", path, "-o", "ControlPersist=60"]
    return []  # without a safe place every command connects anew


def transport_to(host: str, agent: str = "edgetl", ssh_config: Path | None = None) -> Transport:
    """The way to `local:PATH` or to a host of OpenSSH's; `ssh_config` stands in place of the user's own."""
    if host.startswith(LOCAL):
        return Local(Path(host.removeprefix(LOCAL)).absolute())
    return Ssh(host, agent, ["-F", str(ssh_config)] if ssh_config is not None else [])


def _run(name: str, command: list[str], content: Iterable[bytes], timeout_s: float) -> Completed:
    """Feeds `content` piece by piece; the other side may stop taking it, and its answer then says why."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise MissingPartError(f"{command[0]} is not installed; install openssh-client") from error
    assert process.stdin is not None
    late = threading.Timer(timeout_s, process.kill)
    late.start()
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in content:
                process.stdin.write(piece)
            process.stdin.flush()
        out, err = process.communicate()
    finally:
        expired = late.finished.is_set()
        late.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if expired:
        raise TransportError(f"{name}: no answer within {timeout_s:g} s")
    return Completed(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _ssh_error(name: str, said: str) -> TransportError:
    if _HOST_KEY.search(said):
        changed = "HAS CHANGED" in said
        what = (
            "its host key CHANGED: it is another machine, or somebody is in between"
            if changed
            else "its host key is not known"
        )
        todo = (
            "compare it on the device, then: ssh-keygen -R"
            if changed
            else "compare it on the device, then connect once: ssh"
        )
        return HostKeyError(f"{name}: {what}; nothing was sent; {todo} {name}")
    return TransportError(f"{name}: {_last_line(said) or 'ssh failed'}")


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
