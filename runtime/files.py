"""Replaces files so that a power cut leaves the old one or the new one, never a mix."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgetl.errors import storage


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on success it is fsynced and renamed to `path`, else removed.

    Raises StorageError when the disk is full or the folder not writable; what was at `path` is then untouched.
    """
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(fd)
    temporary = Path(name)
    try:
        yield temporary
        with storage(path):
            sync(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
            sync(path.parent)  # without it the rename itself can be lost in a power cut
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, data: bytes | str) -> None:
    """Writes a whole file in place of another. Raises StorageError."""
    content = data.encode() if isinstance(data, str) else data
    with replacing(path) as temporary, storage(path):
        temporary.write_bytes(content)


def move_in(path: Path, target: Path) -> None:
    """Moves a whole, synced file over another of the same file system. Raises StorageError."""
    with storage(target):
        path.replace(target)
        sync(target.parent)
        sync(path.parent)


def point(link: Path, target: str) -> None:
    """Makes `link` a symbolic link to `target` in one step: afterwards it is the old one or the new one.

    Raises StorageError. Without the directory's fsync, a swapped link was gone after a power cut.
    """
    temporary = link.with_name(f".{link.name}.new")
    with storage(link):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        sync(link.parent)
        temporary.replace(link)
        sync(link.parent)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def cache_folder() -> Path:
    """Where this user keeps what can be made again: `$XDG_CACHE_HOME/edgetl`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/var/tmp")) / ".cache") / "edgetl"
