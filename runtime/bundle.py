"""Contract 3: reads `NAME.edgetl`, a zip, trusting nothing in it before sizes and hashes were checked.

The file is opened once and that descriptor kept, so what was verified is what is loaded, even if the path is
replaced meanwhile. Members are read by name into memory with their declared size as the cap; nothing is extracted.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

from edgetl.errors import BundleError, BundleFormatError, BundleHashError, BundleSizeError, UsageError
from edgetl.runtime.manifest import MANIFEST_NAME, SIGNATURE_NAME, FileRecord, Manifest, ModelRecord, parse_manifest

MAX_BUNDLE_BYTES = 1 << 30
MAX_MANIFEST_BYTES = 4 << 20
MAX_MEMBER_BYTES = 512 << 20
MAX_MEMBERS = 4096
_ZLIB_NO_MEMORY = "Error -4"  # Z_MEM_ERROR: the file is not to blame
_CHUNK = 1 << 20
_MEMBER_MARK = b"PK\x03\x04"
_END_RECORD_BYTES = 22  # of a zip without a comment
# A closed set of names: letters, digits and _.- in at most four folders, none starting with a dot, and none that
# is a device to Windows.
_PART = r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)(?:[./]|$))[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_NAME = re.compile(rf"(?:{_PART}/){{0,3}}{_PART}")


class Bundle:
    """An open, verified bundle. Use as a context manager, or call `close`."""

    def __init__(
        self, path: Path, archive: zipfile.ZipFile, file: IO[bytes], manifest: Manifest, manifest_bytes: bytes
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.manifest_bytes = manifest_bytes
        self._archive = archive
        self._file = file

    def read(self, name: str) -> bytes:
        """The bytes of one member, checked again against its hash. Raises BundleError."""
        record = self.manifest.files.get(name)
        if record is None:
            raise BundleFormatError(f"{self.path}: holds no {name}")
        data = b"".join(_chunks(self._archive, name, record.bytes, self.path))
        _check_hash(self.path, name, record, hashlib.sha256(data).hexdigest())
        return data

    def model(self, format: str, precision: str | None = None) -> ModelRecord | None:
        """The record of the model of that format, if the bundle holds one: of that precision, or the one that ships,
        which is any but the float32 one to compare with."""
        for record in self.manifest.models:
            ships = record.precision != "float32" if precision is None else record.precision == precision
            if record.format == format and ships:
                return record
        return None

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()
        self._file.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bundle(path: Path) -> Bundle:
    """Opens a bundle and checks names, sizes and every hash before anything but the manifest is parsed."""
    return read_bundle(path, open_file(path))


def read_bundle(path: Path, file: IO[bytes]) -> Bundle:
    """The same for an open file, which the bundle takes over; `path` only names it."""
    try:
        _check_ends(path, file)
        archive = zipfile.ZipFile(file)
        _check_start(path, archive)
        _check_members(path, archive)
        manifest_bytes = _read_manifest(path, archive)
        manifest = parse_manifest(manifest_bytes, str(path))
        _check_against(path, archive, manifest)
    except BundleError:
        file.close()
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, OSError, EOFError, RuntimeError) as error:
        file.close()
        raise BundleFormatError(
            f"{path}: not a readable bundle ({error}); it may be truncated: copy or export it again"
        ) from error
    return Bundle(path, archive, file, manifest, manifest_bytes)


def open_file(path: Path) -> IO[bytes]:
    """Opens a plain file that is not too large; waits for nothing. Raises UsageError, BundleSizeError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such bundle") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise UsageError(f"{path}: not a file; name a bundle (NAME.edgetl)")
    if status.st_size > MAX_BUNDLE_BYTES:
        os.close(fd)
        raise BundleSizeError(f"{path}: {status.st_size} bytes, more than the limit of {MAX_BUNDLE_BYTES}")
    return os.fdopen(fd, "rb")


def _check_ends(path: Path, file: IO[bytes]) -> None:
    """The file must begin and end as a zip without a comment does; zipfile itself searches for both."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    if not _MEMBER_MARK.startswith(file.read(4)):
        raise BundleFormatError(f"{path}: not a bundle (NAME.edgetl)")
    file.seek(max(0, size - _END_RECORD_BYTES))
    end = file.read()
    if len(end) < _END_RECORD_BYTES or not (end.startswith(b"PK\x05\x06") and end.endswith(b"\0\0")):
        raise BundleSizeError(f"{path}: cut short or added to ({size} bytes); copy or export it again")


def _check_start(path: Path, archive: zipfile.ZipFile) -> None:
    if min((entry.header_offset for entry in archive.infolist()), default=0) != 0:
        raise BundleSizeError(f"{path}: bytes before the start of the archive; copy or export it again")


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuses names and entries that no bundle of ours has, whether or not anybody signed them."""
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise BundleSizeError(f"{path}: {len(entries)} members, more than the limit of {MAX_MEMBERS}")
    seen: set[str] = set()
    for entry in entries:
        # orig_filename: zipfile cuts `filename` at a NUL, which would let two names look alike.
        name = entry.orig_filename
        if not _NAME.fullmatch(name):
            raise BundleFormatError(f"{path}: refused member name {name[:80]!r}")
        if name.casefold() in seen:
            raise BundleFormatError(f"{path}: member {name!r} appears twice")
        seen.add(name.casefold())
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BundleFormatError(f"{path}: member {name!r} is not a plain file")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 0x1:
            raise BundleFormatError(f"{path}: member {name!r} is encrypted or of an unknown compression")


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> bytes:
    if MANIFEST_NAME not in archive.namelist():
        raise BundleFormatError(f"{path}: holds no {MANIFEST_NAME}; this is no edgetl bundle")
    size = archive.getinfo(MANIFEST_NAME).file_size
    if size > MAX_MANIFEST_BYTES:
        raise BundleSizeError(f"{path}: {MANIFEST_NAME} has {size} bytes, more than {MAX_MANIFEST_BYTES}")
    return b"".join(_chunks(archive, MANIFEST_NAME, size, path))


def _check_against(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Compares the archive with the manifest: the same members, sizes and hashes, nothing more or less."""
    present = set(archive.namelist()) - {MANIFEST_NAME, SIGNATURE_NAME}
    if missing := sorted(set(manifest.files) - present):
        raise BundleFormatError(f"{path}: {missing[0]} is named in the manifest but missing")
    if extra := sorted(present - set(manifest.files)):
        raise BundleFormatError(f"{path}: {extra[0]} is not named in the manifest")
    for record in manifest.models:
        if record.path not in manifest.files:
            raise BundleFormatError(f"{path}: model {record.path} is missing")
    for name, file in manifest.files.items():
        if file.bytes > MAX_MEMBER_BYTES or archive.getinfo(name).file_size != file.bytes:
            raise BundleSizeError(
                f"{path}: {name} has {archive.getinfo(name).file_size} bytes, the manifest says {file.bytes}"
            )
        digest = hashlib.sha256()
        for chunk in _chunks(archive, name, file.bytes, path):
            digest.update(chunk)
        _check_hash(path, name, file, digest.hexdigest())


def _chunks(archive: zipfile.ZipFile, name: str, size: int, path: Path) -> Iterable[bytes]:
    """Yields a member in pieces and stops at its declared size, whatever the deflate stream goes on to say."""
    left = size
    try:
        with archive.open(name) as member:
            while left > 0:
                chunk = member.read(min(_CHUNK, left))
                if not chunk:
                    raise BundleSizeError(f"{path}: {name} ends {left} bytes early")
                left -= len(chunk)
                yield chunk
            if member.read(1):
                raise BundleSizeError(f"{path}: {name} is longer than its declared {size} bytes")
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        if str(error).startswith(_ZLIB_NO_MEMORY):
            raise MemoryError(f"{path}: no memory to unpack {name}") from error
        raise BundleHashError(f"{path}: {name} is damaged ({error}); copy or export the bundle again") from error


def _check_hash(path: Path, name: str, record: FileRecord, found: str) -> None:
    if found != record.sha256:
        raise BundleHashError(f"{path}: {name} was altered (SHA-256 {found[:12]}…, expected {record.sha256[:12]}…)")
