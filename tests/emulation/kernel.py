"""The arm64 kernel of the emulated machine, with the modules that it needs and a small initial RAM disk.

Debian's own kernel: it has vivid (a camera), ext4 with its journal, and the PL061 pins of QEMU's board.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.emulation.rootfs import RELEASE, ensure_binfmt, mirror
from tests.emulation.store import BuildError, built, fingerprint

BOOT_MODULES = ("virtio_mmio", "virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
MODULES = (*BOOT_MODULES, "virtio_net", "virtio_rng", "vivid", "softdog", "overlay", "loop", "vfat", "fuse", "autofs4",
           "nls_ascii", "nls_cp437")  # fmt: skip

_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
while read m; do $b insmod /m/$m; done < /mods
i=0; while [ ! -b /dev/vda ] && [ $i -lt 300 ]; do $b sleep 0.1; i=$((i+1)); done
$b mount -t ext4 -o rw,noatime /dev/vda /root || $b sh
$b umount /proc /sys; $b mount --move /dev /root/dev; exec $b switch_root /root /sbin/init
"""


def kernel() -> Path:
    """A folder holding `vmlinuz`, `initrd` and `lib`, the modules to lay into a root file system."""
    ensure_binfmt()
    return built("kernel", fingerprint(sys.modules[__name__]), _build)


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch) / "root"
        # The newest kernel of the release, whatever its number: older ones leave the archive.
        _run("mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract", "--include=linux-image-arm64,busybox-static",
             "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", RELEASE, str(root), mirror())  # fmt: skip
        version = next((root / "usr/lib/modules").iterdir()).name
        _run("depmod", "-b", str(root), version)
        _copy_modules(root, folder, version)
        _make_initrd(root, Path(scratch) / "initrd", folder / "initrd", version)
        shutil.copy(root / f"boot/vmlinuz-{version}", folder / "vmlinuz")


def _needed(root: Path, version: str, names: tuple[str, ...]) -> list[Path]:
    """The files of the modules and of those that they need, in the order of loading."""
    found: dict[Path, None] = {}
    for name in names:
        done = subprocess.run(
            ["modprobe", "-d", str(root), "-S", version, "--show-depends", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            if line.startswith("insmod "):
                found[Path(line.split()[1])] = None
    return list(found)


def _copy_modules(root: Path, folder: Path, version: str) -> None:
    there = folder / "lib/modules" / version
    there.mkdir(parents=True)
    here = root / "usr/lib/modules" / version
    for index in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
        shutil.copy(here / index, there / index)
    for module in _needed(root, version, MODULES):
        target = there / str(module).partition(f"/modules/{version}/")[2]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, target)
    _run("depmod", "-b", str(folder), version)


def _make_initrd(root: Path, tree: Path, initrd: Path, version: str) -> None:
    for name in ("bin", "dev", "proc", "sys", "root", "m"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "usr/bin/busybox", tree / "bin/busybox")
    modules = _needed(root, version, BOOT_MODULES)
    for module in modules:
        shutil.copy(module, tree / "m" / module.name)
    (tree / "mods").write_text("".join(f"{module.name}\n" for module in modules))
    (tree / "init").write_text(_INIT)
    (tree / "init").chmod(0o755)
    pack = f"set -o pipefail; cd '{tree}' && find . | cpio -o -H newc --quiet | zstd -q > '{initrd}'"
    _run("bash", "-c", pack)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command[:3])} … failed: {done.stderr.strip()[-600:]}")
