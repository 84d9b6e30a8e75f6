"""A real SSH server on loopback that leads to a device root, and a proxy that breaks connections on purpose."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetl.benchmarks.ports import free_port
from tests.runtime.flashing.world import keygen

DEADLINE_S = 30.0
DRAIN_S = 0.5  # what was passed on before a cut reaches its end, so that the cut falls where it is meant to


class Sshd:
    """One server: its port, its client's configuration, and the device root behind it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root, self.port = folder, root, free_port()
        self.config, self.known = folder / "ssh_config", folder / "known_hosts"
        self.agent = folder / "bin" / "edgetl"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host", "other_host", "user"):
            keygen("-q", "-t", "ed25519", "-N", "", "-f", folder / name)
        self.agent.parent.mkdir()
        self.agent.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgetl "$@" --root {root}\n')
        self.agent.chmod(0o755)
        self.configure(self.port)
        self.know("host")

    def configure(self, port: int, more: str = "") -> None:
        """Writes the client's configuration; `port` may be a proxy's."""
        self.config.write_text(
            f"Host device\n HostName 127.0.0.1\n Port {port}\n User {os.environ.get('USER', 'root')}\n"
            f" IdentityFile {self.folder / 'user'}\n IdentitiesOnly yes\n HostKeyAlias device\n"
            f" UserKnownHostsFile {self.known}\n GlobalKnownHostsFile /dev/null\n ControlPath none\n{more}"
        )

    def know(self, name: str) -> None:
        """The client has met a server with this host key before."""
        kind, key = (self.folder / f"{name}.pub").read_text().split()[:2]
        self.known.write_text(f"device {kind} {key}\n")

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        Path("/run/sshd").mkdir(exist_ok=True)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized")
        options = [
            f"ListenAddress=127.0.0.1:{self.port}", "UsePAM=no", f"AuthorizedKeysFile={self.folder / 'authorized'}",
            "StrictModes=no", "PermitRootLogin=yes", f"PidFile={self.folder / 'pid'}", "MaxStartups=100",
            f"SetEnv=PATH={self.agent.parent}:{os.environ['PATH']}",
        ]  # fmt: skip
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", str(self.folder / "host")]
        self._process = subprocess.Popen(
            [*command, *(a for o in options for a in ("-o", o))], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        pytest.skip("sshd does not start here")

    def stop(self) -> None:
        """Ends the server."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def options(self) -> list[str]:
        """What edgetl's commands are told to find it."""
        return ["--agent", str(self.agent), "--ssh-config", str(self.config)]


class CuttingProxy:
    """Passes everything on to a server, and breaks each connection after the next number of bytes in `cuts`.

    What comes back is always passed on; when the cuts are used up, connections last until `cut` is called.
    """

    def __init__(self, target: int, cuts: list[int]) -> None:
        self.cuts = list(cuts)
        self.broken = 0
        self._open: set[socket.socket] = set()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._pass(self.request, target)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _pass(self, client: socket.socket, target: int) -> None:
        left = self.cuts[0] if self.cuts else None
        with socket.create_connection(("127.0.0.1", target)) as server:
            self._open |= {client, server}
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            while data := _received(client):
                if left is not None and len(data) >= left:
                    self.cuts.pop(0)
                    self.broken += 1
                    time.sleep(DRAIN_S)
                    for end in (client, server):
                        with contextlib.suppress(OSError):
                            end.shutdown(socket.SHUT_RDWR)
                    return
                left = None if left is None else left - len(data)
                server.sendall(data)

    def cut(self) -> None:
        """Breaks the connections that are open now."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                self.broken += 1

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(16384)
    except OSError:
        return b""


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@contextlib.contextmanager
def serving(folder: Path, root: Path) -> Iterator[Sshd]:
    """A running server; skips where there is none to run."""
    if not Path("/usr/sbin/sshd").exists() or shutil.which("ssh") is None:
        pytest.skip("needs openssh-server and openssh-client: make system")
    server = Sshd(folder, root)
    server.start()
    try:
        yield server
    finally:
        server.stop()
