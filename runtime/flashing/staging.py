"""Takes in an upload: resumed where it broke off, hashed as it arrives, and never longer than announced."""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import msgspec

from edgetl.errors import BundleHashError, BundleSizeError, UploadError, storage
from edgetl.runtime.files import sync
from edgetl.runtime.flashing.layout import DeviceRoot

_CHUNK = 256 << 10
_SYNC_EVERY = 4 << 20  # so that a cut connection or power costs at most this much of the upload


class Arrived(msgspec.Struct, frozen=True):
    """How much of an upload is here, and the SHA-256 of that much."""

    size: int
    sha256: str
    complete: bool


class Incoming(Protocol):
    """Where bytes come from."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are some; b"" at the end. Raises UploadError when none come."""


class StandardInput:
    """This process's input, with a limit to its silence."""

    def __init__(self, fd: int = 0, silence_s: float = 30.0) -> None:
        self._fd = fd
        self._silence_s = silence_s

    def read(self, size: int) -> bytes:
        """As of Incoming."""
        ready, _, _ = select.select([self._fd], [], [], self._silence_s)
        if not ready:
            raise UploadError(
                f"the upload fell silent for {self._silence_s:g} s; run the command again to go on with it"
            )
        return os.read(self._fd, size)


class Staging:
    """The folder of uploads. A file in it is named after what it must become, so two releases never mix."""

    def __init__(self, root: DeviceRoot) -> None:
        self._folder = root.staging

    def part(self, sha256: str) -> Path:
        """An upload that is not whole yet."""
        return self._folder / f"{sha256}.part"

    def whole(self, sha256: str) -> Path:
        """An upload that is whole and has the hash of its name."""
        return self._folder / f"{sha256}.edgetl"

    def clear(self, keep: str | None = None) -> None:
        """Removes everything, or everything that does not belong to the release `keep`. Raises StorageError."""
        with storage(self._folder):
            for path in self._folder.iterdir():
                if keep is None or not path.name.startswith(keep):
                    path.unlink()
            sync(self._folder)

    def arrived(self, sha256: str, limit: int) -> Arrived:
        """What is here of a release. Raises StorageError."""
        with storage(self._folder):
            if self.whole(sha256).is_file():
                return Arrived(limit, sha256, True)
            if not self.part(sha256).is_file():
                return Arrived(0, hashlib.sha256().hexdigest(), False)
            with self.part(sha256).open("rb") as file:
                digest = _digest(file, limit)
                return Arrived(file.tell(), digest.hexdigest(), False)

    def receive(
        self, sha256: str, size: int, offset: int, incoming: Incoming, progress: Callable[[], None] = lambda: None
    ) -> Arrived:
        """Writes what comes from `offset` on. What arrived stays when the sender breaks off.

        Raises BundleHashError, BundleSizeError (and removes it all) if it is not what was announced, UploadError for
        an offset that leaves a gap, StorageError (and removes it all) when the disk is full.
        """
        if self.whole(sha256).is_file():
            return Arrived(size, sha256, True)
        part = self.part(sha256)
        try:
            with storage(self._folder), part.open("r+b" if part.exists() else "w+b") as file:
                arrived = _fill(file, size, offset, incoming, progress)
                _sync(file)
        except UploadError:
            raise
        except Exception:
            part.unlink(missing_ok=True)
            raise
        if arrived.size < size:
            return arrived
        if arrived.sha256 != sha256:
            part.unlink(missing_ok=True)
            raise BundleHashError(
                f"the upload arrived altered (SHA-256 {arrived.sha256[:12]}…, announced {sha256[:12]}…)"
            )
        with storage(self._folder):
            part.replace(self.whole(sha256))
            sync(self._folder)
        return Arrived(size, sha256, True)


def _fill(file: IO[bytes], size: int, offset: int, incoming: Incoming, progress: Callable[[], None]) -> Arrived:
    """Hashes what is there up to `offset`, then writes and hashes what comes, up to `size`."""
    digest = _digest(file, offset)
    if file.tell() != offset:
        raise UploadError(f"cannot go on at byte {offset}: only {file.tell()} arrived before; run the command again")
    file.seek(offset)
    file.truncate()
    count = synced = offset
    while chunk := incoming.read(min(_CHUNK, size + 1 - count)):
        count += len(chunk)
        if count > size:
            raise BundleSizeError(
                f"the upload is longer than the {size} bytes that were announced; nothing of it was kept"
            )
        file.write(chunk)
        digest.update(chunk)
        if count - synced >= _SYNC_EVERY:
            _sync(file)
            synced = count
            progress()
    return Arrived(count, digest.hexdigest(), False)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def sha256_of(file: IO[bytes]) -> str:
    """The SHA-256 of a whole open file, in hex."""
    file.seek(0)
    return _digest(file, os.fstat(file.fileno()).st_size).hexdigest()


def _digest(file: IO[bytes], limit: int) -> hashlib._Hash:
    """The SHA-256 of the first `limit` bytes; leaves the file behind them."""
    digest, left = hashlib.sha256(), limit
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest
