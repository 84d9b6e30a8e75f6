"""Cards and images of a Raspberry Pi's kind, made for tests: a partition table and a FAT boot partition."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BOOT_FILES = {"config.txt": "arm_64bit=1\n", "cmdline.txt": "console=tty1 root=PARTUUID=1-02 rootwait quiet\n"}
CLOUD_INIT_FILES = {**BOOT_FILES, "meta-data": "", "user-data": "#cloud-config\n", "network-config": ""}
_START = 8192  # the sector that Raspberry Pi OS images begin their boot partition at


def need_tools() -> None:
    """Skips where images cannot be made or written."""
    for program in ("sfdisk", "mkfs.vfat", "mcopy", "mke2fs"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}; run: make system")


def card_image(path: Path, files: dict[str, str], size_mb: int = 64) -> Path:
    """An image with a FAT boot partition and an empty Linux one."""
    need_tools()
    with path.open("wb") as image:
        image.truncate((size_mb + 16) << 20)
    table = f"label: dos\nstart={_START}, size={size_mb << 11}, type=c\nstart={_system(size_mb)}, type=83\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=table, text=True, check=True)
    subprocess.run(
        ["mkfs.vfat", "--offset", str(_START), str(path), str((size_mb - 5) << 10)], check=True, capture_output=True
    )
    for name, text in files.items():
        source = path.with_suffix(".in")
        source.write_text(text)
        subprocess.run(["mcopy", "-i", drive(path), str(source), f"::/{name}"], check=True)
        source.unlink()
    return path


def _system(size_mb: int) -> int:
    """The sector that the Linux partition begins at."""
    return _START + (size_mb << 11)


def drive(path: Path) -> str:
    """mtools' name for the image's boot partition."""
    return f"{path}@@{_START * 512}"


def with_system(path: Path, python: str, size_mb: int = 64) -> Path:
    """Lays a Linux file system into an image, whose Python is that one."""
    tree = path.with_suffix(".tree")
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/python3").symlink_to(f"python{python}")
    offset = _system(size_mb) * 512
    made = ["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), "-E", f"offset={offset}", str(path), "8M"]
    subprocess.run(made, check=True, capture_output=True)
    return path


def content(path: Path, folder: Path) -> Path:
    """A folder with all that lies on the image's boot partition."""
    folder.mkdir()
    subprocess.run(["mcopy", "-s", "-n", "-i", drive(path), "::/*", str(folder)], check=True)
    return folder
