"""Where built devices are kept between test runs, and what a machine needs to build them.

A build is a folder named after its content: the recipe's source, the versions that went in. A changed recipe builds
anew; what was not used for a week, by this or another checkout, is then removed. A set takes about 2 GB.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_KEPT_S = 7 * 86400
# program: Debian package. `make system` installs them.
CHROOT_PARTS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
    "unshare": "util-linux",
}
CONTAINER_PARTS = {**CHROOT_PARTS, "systemd-nspawn": "systemd-container", "ssh": "openssh-client"}
MACHINE_PARTS = {
    **CHROOT_PARTS,
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "cpio": "cpio",
    "zstd": "zstd",
    "depmod": "kmod",
    "ssh": "openssh-client",
}


def store_root() -> Path:
    """$EDGETL_EMULATION, or ~/.cache/edgetl-emulation: not $XDG_CACHE_HOME, which the tests point elsewhere."""
    return Path(os.environ.get("EDGETL_EMULATION", Path.home() / ".cache" / "edgetl-emulation"))


def lacking(parts: dict[str, str]) -> str | None:
    """Why devices cannot be emulated here; None if they can."""
    if os.geteuid() != 0:
        return "emulated devices need root (mounts, chroot)"
    if (
        shutil.which("unshare")
        and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
    ):
        return "emulated devices need mounts of their own, which this machine's root may not make"
    missing = sorted({package for program, package in parts.items() if shutil.which(program) is None})
    return f"emulated devices need {', '.join(missing)}; run: make system" if missing else None


def require(parts: dict[str, str]) -> None:
    """Skips the test with the reason where devices cannot be emulated."""
    if reason := lacking(parts):
        pytest.skip(reason)


def fingerprint(*sources: object) -> str:
    """Names a build by what goes into it; a module counts with its source."""
    digest = hashlib.sha256()
    for source in sources:
        path = getattr(source, "__file__", None)
        digest.update((Path(path).read_text() if path else str(source)).encode() + b"\0")
    return digest.hexdigest()[:16]


class BuildError(Exception):
    """A device could not be built: a package source or index that is not there."""


def built(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder of a build, made by `build` where it is not there yet. One process builds, others wait."""
    root = store_root()
    root.mkdir(parents=True, exist_ok=True)
    final = root / f"{name}-{key}"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if final.is_dir():
            os.utime(final)
            return final
        for stale in root.glob(f"{name}-*"):
            if time.time() - stale.stat().st_mtime > _KEPT_S:
                shutil.rmtree(stale)
        half_built = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}."))
        try:
            build(half_built)
            half_built.chmod(0o755)
            half_built.rename(final)
        finally:
            shutil.rmtree(half_built, ignore_errors=True)
    return final
