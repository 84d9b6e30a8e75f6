"""The boot partition of an image file, of a card, or mounted as a folder: its files, read and written.

A FAT partition inside an image or a card is written with mtools: no root for an image, and nothing is mounted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from edgetl.errors import MissingPartError, ProvisionError, UsageError, storage
from edgetl.runtime.files import write_file

_FAT_TYPES = ("b", "c", "e", "6")  # of an MBR; what Raspberry Pi Imager's images begin with is "c"
_LINUX_TYPE = "83"


class BootPartition(Protocol):
    """Files by their path on the partition."""

    def names(self) -> set[str]:
        """Those in its root."""

    def read(self, name: str) -> str:
        """A text file of its root; empty where it is not there."""

    def write(self, files: Mapping[str, str | Path]) -> None:
        """Puts texts, and copies of files, at their paths. Raises StorageError, ProvisionError."""


class MountedFolder:
    """A boot partition that is mounted, as a desktop mounts a card."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> set[str]:
        """Those in its root."""
        return {entry.name for entry in self._path.iterdir()}

    def read(self, name: str) -> str:
        """A text file of its root."""
        with contextlib.suppress(FileNotFoundError):
            return (self._path / name).read_text()
        return ""

    def write(self, files: Mapping[str, str | Path]) -> None:
        """Each file is written beside, synced and renamed."""
        for name, content in files.items():
            write_file(self._path / name, content.read_bytes() if isinstance(content, Path) else content)


class FatPartition:
    """A FAT partition at an offset of an image file or a block device."""

    def __init__(self, path: Path, offset: int) -> None:
        self._drive = f"{path}@@{offset}"
        self._name = str(path)

    def names(self) -> set[str]:
        """Those in its root."""
        return {line.strip("/").rpartition("/")[2] for line in self._run("mdir", "-b", "::/").splitlines() if line}

    def read(self, name: str) -> str:
        """A text file of its root."""
        return self._run("mtype", f"::/{name}") if name in self.names() else ""

    def write(self, files: Mapping[str, str | Path]) -> None:
        """All files go in one copy, their folders with them."""
        with tempfile.TemporaryDirectory() as scratch, storage(scratch):
            for name, content in files.items():
                place = Path(scratch) / name
                place.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Path):
                    place.symlink_to(content.absolute())
                else:
                    place.write_text(content)
            self._run("mcopy", "-s", "-o", "-Q", *sorted(str(path) for path in Path(scratch).iterdir()), "::/")
        _sync(self._name)

    def _run(self, program: str, *arguments: str) -> str:
        _require(program, "mtools")
        done = subprocess.run([program, "-i", self._drive, *arguments], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})  # fmt: skip
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            full = "; the partition is full: use a larger one, or fewer wheels" if "full" in said.lower() else ""
            raise ProvisionError(f"{self._name}: cannot write its boot partition: {program}: {said}{full}")
        return done.stdout


class _Entry(msgspec.Struct):
    node: str
    start: int
    size: int
    type: str


class _Table(msgspec.Struct):
    label: str
    partitions: list[_Entry] = []
    sectorsize: int = 512


class _Disk(msgspec.Struct):
    partitiontable: _Table


def open_partition(target: Path) -> BootPartition:
    """The boot partition of an image file, a block device, or a mounted folder. Raises UsageError, ProvisionError."""
    if target.is_dir():
        return MountedFolder(target)
    if not target.exists():
        raise UsageError(f"{target}: no such image, card or folder")
    kind = target.stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISBLK(kind):
        raise UsageError(f"{target}: neither an image file, a card nor a folder")
    if stat.S_ISBLK(kind) and (where := mounted_at(target)):
        raise UsageError(
            f"{target}: in use, mounted at {where[0]}; unmount it, or name that folder if it is the boot partition"
        )
    table = _partitions(target)
    fat = [entry for entry in table.partitions if entry.type.lower().removeprefix("0x") in _FAT_TYPES]
    if not fat:
        raise ProvisionError(f"{target}: no FAT partition in it; this is no image of Raspberry Pi OS")
    return FatPartition(target, fat[0].start * table.sectorsize)


def linux_partitions(target: Path) -> list[int]:
    """Where the Linux partitions of an image or a card begin, in bytes. Raises ProvisionError."""
    table = _partitions(target)
    linux = [entry for entry in table.partitions if entry.type.lower().removeprefix("0x") == _LINUX_TYPE]
    return [entry.start * table.sectorsize for entry in linux]


def is_block_device(target: Path) -> bool:
    """Whether writing there is writing to a disk."""
    return target.exists() and stat.S_ISBLK(target.stat().st_mode)


def mounted_at(device: Path) -> list[str]:
    """Where a disk or a partition of it is mounted; the disk that this system runs from is always mounted."""
    name = str(device.resolve())
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [fields[1] for fields in lines if fields[0] == name or _is_partition_of(fields[0], name)]


def _is_partition_of(name: str, disk: str) -> bool:
    rest = name.removeprefix(disk)
    return rest != name and rest.removeprefix("p").isdecimal()


def describe(target: Path) -> str:
    """What a block device is, as `lsblk` tells it, for a human to recognise."""
    _require("lsblk", "util-linux")
    columns = "NAME,SIZE,VENDOR,MODEL,TRAN,LABEL,MOUNTPOINTS"
    done = subprocess.run(["lsblk", "--output", columns, str(target)], capture_output=True, text=True, check=False)
    return done.stdout.rstrip() or str(target)


def _partitions(target: Path) -> _Table:
    _require("sfdisk", "fdisk")
    done = subprocess.run(["sfdisk", "--json", str(target)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProvisionError(f"{target}: no partition table in it; unpack the image first (xz -d, unzip)")
    return msgspec.json.decode(done.stdout, type=_Disk).partitiontable


def _require(program: str, package: str) -> None:
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        raise MissingPartError(f"{program} is not installed; run: apt install {package}")


def _sync(name: str) -> None:
    fd = os.open(name, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
