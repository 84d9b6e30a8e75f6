"""A workstation's side of the tests on emulated devices: a way to them by ssh, keys to sign with, bundles, wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgetl.flasher.provision.wheelhouse import edgetl_wheels
from tests.emulation.container import ContainerDevice
from tests.runtime import tiny


class Workstation:
    """Runs edgetl as an engineer would whose ~/.ssh/config knows the device as `line-3`."""

    def __init__(self, folder: Path, key: Path, port: int, user: str = "root") -> None:
        self.folder = folder
        self.wheelhouse = folder / "wheels"
        edgetl_wheels(self.wheelhouse)  # of the packages that the device has already, none is carried
        config = folder / "ssh_config"
        config.write_text(
            f"Host line-3\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {key}\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  StrictHostKeyChecking accept-new\n"
        )
        # OpenSSH reads the home of the user's account, not $HOME, so the tests' configuration comes in front.
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
        program.chmod(0o755)
        runtime = tempfile.mkdtemp(prefix="edgetl-")  # short: a socket's path has at most 107 bytes
        path = f"{program.parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "XDG_RUNTIME_DIR": runtime}
        self.key = folder / "release"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.signers = folder / "allowed_signers"
        namespaces = "edgetl-bundle@edgetl,edgetl-downgrade@edgetl"
        self.signers.write_text(f'release@plant namespaces="{namespaces}" {self.key.with_suffix(".pub").read_text()}')

    def edgetl(self, *arguments: object, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
        """One command; its exit code is the caller's to judge."""
        return self.python("-m", "edgetl", *arguments, timeout_s=timeout_s)

    def python(self, *arguments: object, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
        """One program of this machine's Python, to which the device is `line-3` too."""
        return subprocess.run(
            [sys.executable, *map(str, arguments)], env=self.environment, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Begins an edgetl command that is not waited for."""
        command = [sys.executable, "-m", "edgetl", *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def line_file(self) -> Path:
        """A line whose camera is the simulated one, slow enough for an emulated processor."""
        path = self.folder / "line.yaml"
        path.write_text("source: 'sim:parts=100000,parts_per_minute=20,width=160,height=120,fps=4'\n")
        return path

    def release(self, name: str, number: int, **changes: Any) -> Path:
        """A signed bundle of three plain colours."""
        path = self.folder / f"{name}.edgetl"
        files = {**tiny.content(), "card.md": f"# {name}\n".encode()}
        tiny.write(path, files, manifest=tiny.manifest_of(files, name=name, **changes))
        return self.signed(path, path, number)

    def signed(self, bundle: Path, out: Path, number: int) -> Path:
        """A release of a bundle, signed with the key that `signers` allows."""
        done = self.edgetl("sign", bundle, "--key", self.key, "--number", number, "--out", out)
        assert done.returncode == 0, done.stderr
        return out

    def card(self, boot: Path, files: Mapping[str, str], container: ContainerDevice, *more: object) -> str:
        """Writes a card whose boot partition `boot` held these files, and carries it to a board; what was said of it."""
        boot.mkdir()
        for name, text in files.items():
            (boot / name).write_text(text)
        written = self.edgetl(
            "device", "image", boot, "--config", "generic-arm64", "--key", self.folder / "release.pub", "--signers",
            self.signers, "--line", self.line_file(), "--wheelhouse", self.wheelhouse, "--bundle", self.release("one", 1), *more,
        )  # fmt: skip
        assert written.returncode == 0, written.stderr
        packed = subprocess.run(["tar", "-c", "-C", str(boot), "."], capture_output=True, check=True).stdout
        assert container.ssh("mkdir -p /boot/firmware && tar -x -C /boot/firmware", stdin=packed).returncode == 0
        return written.stdout
