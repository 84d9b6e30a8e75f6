"""What lies over the bare root file system: a device that has edgetl's environment, so that most tests need not
install 300 MB under emulation. The one that does is in tests/device/test_device_setup.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.emulation.rootfs import PYTHON, root_filesystem
from tests.emulation.store import built, fingerprint
from tests.emulation.wheels import device_wheels

HOME = "opt/edgetl"
VENV = "env-prepared"


def prepared_layer() -> Path:
    """An overlay layer with the environment of `edgetl device init`, all of edgetl[device] in it but edgetl."""
    wheels, rootfs = device_wheels(), root_filesystem()
    key = fingerprint(sys.modules[__name__], wheels.name, rootfs.name)
    return built("prepared", key, lambda folder: _build(folder, wheels))


def _build(folder: Path, wheels: Path) -> None:
    """The files that `python3 -m venv --without-pip` makes, and the wheels' content."""
    venv = folder / HOME / VENV
    (venv / "bin").mkdir(parents=True)
    for name in ("python", "python3", f"python{PYTHON}"):
        (venv / "bin" / name).symlink_to("/usr/bin/python3")
    (venv / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    packages = venv / "lib" / f"python{PYTHON}" / "site-packages"
    shutil.copytree(wheels, packages, symlinks=True, copy_function=os.link)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (folder / HOME / "venv").symlink_to(VENV)
    for path in (folder, *folder.glob("opt/**/")):
        path.chmod(0o755)


def ssh_options(key: Path, port: int) -> list[str]:
    """ssh(1)'s options for a device of the tests: its key, no known hosts, no question asked."""
    settings = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                "ConnectTimeout=10", "IdentitiesOnly=yes")  # fmt: skip
    options = ["-F", "/dev/null", "-i", str(key), "-p", str(port)]
    for setting in settings:
        options += ["-o", setting]
    return options


def ssh(
    key: Path, port: int, command: str, user: str = "root", timeout_s: float = 60, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """One command on a device over SSH; exit code 255 is ssh's own."""
    arguments = ["ssh", *ssh_options(key, port), f"{user}@127.0.0.1", command]
    done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=timeout_s, check=False)
    return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())
