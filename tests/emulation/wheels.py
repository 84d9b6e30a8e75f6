"""Wheels for the device, installed from the workstation: pip under emulation takes ten times as long.

What edgetl[device] asks for is read from pyproject.toml, so the emulated device runs what a real one would. edgetl
itself is built from the working tree for each test run.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.emulation.rootfs import PYTHON
from tests.emulation.store import BuildError, built, fingerprint

ROOT = Path(__file__).parent.parent.parent
# The workstation's versions, so that a difference between the two is the processor's.
VERSIONS = ROOT / "requirements" / "workstation.txt"
# The extra asks for TFLite only; parity is checked with the other interpreter too.
ADDED = {"device": ("onnxruntime",)}


def target_arguments(python: str = PYTHON) -> list[str]:
    """pip's flags that ask for wheels of an arm64 Debian bookworm (glibc 2.36) instead of this machine's."""
    arguments = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    arguments += [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    glibc = [f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)]
    return arguments + [f"--platform={tag}" for tag in (*glibc, "manylinux2014_aarch64", "linux_aarch64")]


def device_wheels(extra: str = "device") -> Path:
    """A folder for PYTHONPATH with what edgetl[extra] needs on arm64, edgetl itself excepted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"][extra], *ADDED.get(extra, ())]
    key = fingerprint(sys.modules[__name__], VERSIONS.read_text(), *sorted(wanted))
    arguments = ["--constraint", str(VERSIONS), *target_arguments(), *wanted]
    return built(f"wheels-{extra}", key, lambda folder: _pip("install", "--target", str(folder), *arguments))


def edgetl_wheel(folder: Path) -> Path:
    """The wheel of the working tree, built into `folder`."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("edgetl-*.whl"))


def unpack_edgetl(wheel: Path, folder: Path) -> Path:
    """The wheel's content as a folder for PYTHONPATH, its command's metadata included."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"pip {arguments[0]} failed: {done.stderr.strip()[-800:]}")
