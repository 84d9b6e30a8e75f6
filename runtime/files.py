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
            _sync(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
            _sync(path.parent)  # without it the rename itself can be lost in a power cut
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, data: bytes | str) -> None:
    """Writes a whole file in place of another. Raises StorageError."""
    content = data.encode() if isinstance(data, str) else data
    with replacing(path) as temporary, storage(path):
        temporary.write_bytes(content)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
