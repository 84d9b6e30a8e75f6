"""The quickest emulated device: arm64 programs on this machine's kernel, in mounts of their own.

Real: the arm64 Python, wheels, interpreters and OpenCV, an SSH server. Not real: kernel, devices, systemd.
A command starts in 0.3 s. Its figures of speed say nothing about a device.

    device = ChrootDevice(folder)                       # folder: scratch, removed by whoever made it
    device.python("import platform; print(platform.machine())").stdout == "aarch64\\n"
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.emulation.rootfs import root_filesystem
from tests.emulation.wheels import device_wheels, edgetl_wheel, unpack_edgetl

# Mounts live in a namespace that ends with the command, so that nothing is left mounted however a test ends.
# Without /sys XNNPACK is silently not used, and results change.
_ENTER = """set -e
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$SCRATCH/root"
cd "$SCRATCH/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount --bind etc/cpuinfo-pi4 proc/cpuinfo
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs run
mkdir -p run/sshd
for pair in $BINDS; do
  mkdir -p "./${pair#*=}"
  mount --bind "${pair%%=*}" "./${pair#*=}"
done
exec chroot . /usr/bin/env -i - "$@"
"""


class ChrootDevice:
    """An arm64 device without a kernel of its own; what it writes stays until its folder is removed."""

    def __init__(self, folder: Path, extra: str = "device", binds: Mapping[Path, str] | None = None) -> None:
        """`extra`: whose wheels it has; `binds`: folders of this machine shown at a path on the device."""
        self._folder = folder
        self._rootfs = root_filesystem()
        for name in ("upper", "work", "root", "edgetl"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        unpack_edgetl(edgetl_wheel(folder), folder / "edgetl")
        self._binds = {device_wheels(extra): "/opt/wheels", folder / "edgetl": "/opt/edgetl", **(binds or {})}
        self.key = self._rootfs / "id"

    def command(self, *command: str, environment: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs `command` on the device, for subprocess; see `host_environment`."""
        settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
                    "PYTHONPATH": "/opt/edgetl:/opt/wheels", "QEMU_CPU": "cortex-a72", **(environment or {})}  # fmt: skip
        assigned = [f"{name}={value}" for name, value in settings.items()]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", *assigned, *command]

    def host_environment(self) -> dict[str, str]:
        """What the mounting shell is told."""
        binds = " ".join(f"{here}={there}" for here, there in self._binds.items())
        return {**os.environ, "LOWER": str(self._rootfs / "root"), "SCRATCH": str(self._folder), "BINDS": binds}

    def runner(self, path: Path) -> Path:
        """A script that runs the device's Python with the arguments that it gets, for what takes a command."""
        told = self.host_environment()
        lines = "\n".join(f"export {name}={shlex.quote(told[name])}" for name in ("LOWER", "SCRATCH", "BINDS"))
        path.write_text(f'#!/bin/sh\n{lines}\nexec {shlex.join(self.command("/usr/bin/python3"))} "$@"\n')
        path.chmod(0o755)
        return path

    def run(self, *command: str, timeout_s: float = 250, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs one command as root and waits for it; the exit code is the caller's to judge."""
        return subprocess.run(
            self.command(*command), env=self.host_environment(), input=stdin, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    def python(
        self, program: str, arguments: Sequence[str] = (), timeout_s: float = 250
    ) -> subprocess.CompletedProcess[str]:
        """Runs a Python program on the device, with edgetl and its wheels importable."""
        return self.run("/usr/bin/python3", "-c", program, *arguments, timeout_s=timeout_s)

    def edgetl(self, *arguments: str, timeout_s: float = 250) -> subprocess.CompletedProcess[str]:
        """Runs one edgetl command on the device."""
        return self.run("/usr/bin/python3", "-m", "edgetl", *arguments, timeout_s=timeout_s)

    def start_sshd(self, port: int) -> subprocess.Popen[bytes]:
        """An SSH server of the device on 127.0.0.1; the caller ends it. Log in as root with `key`."""
        arguments = ["-D", "-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1"]
        return subprocess.Popen(
            self.command("/usr/sbin/sshd", *arguments), env=self.host_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=(self._folder / "sshd.log").open("wb"),
        )  # fmt: skip
