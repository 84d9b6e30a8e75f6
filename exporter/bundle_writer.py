"""Writes a bundle: every file hashed into the manifest, in a fixed order, replaced in one rename."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import msgspec

from edgetl.errors import storage
from edgetl.runtime.files import replacing
from edgetl.runtime.manifest import MANIFEST_NAME, FileRecord, Manifest

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's zero: the same content gives the same bytes


def file_records(files: dict[str, bytes]) -> dict[str, FileRecord]:
    """Sizes and hashes for the manifest."""
    return {name: FileRecord(len(data), hashlib.sha256(data).hexdigest()) for name, data in sorted(files.items())}


def write_bundle(out: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    """Writes the bundle; the manifest's `files` are computed here. Raises StorageError."""
    manifest = msgspec.structs.replace(manifest, files=file_records(files))
    with replacing(out) as temporary, storage(out), zipfile.ZipFile(temporary, "w") as archive:
        _add(archive, MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest)))
        for name, data in sorted(files.items()):
            _add(archive, name, data)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    # PNG is compressed already; int8 weights shrink by a tenth at most, and stored ones load faster.
    entry.compress_type = zipfile.ZIP_DEFLATED if name.endswith((".json", ".md")) else zipfile.ZIP_STORED
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)
