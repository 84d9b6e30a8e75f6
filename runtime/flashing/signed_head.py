"""The two members that a signed bundle begins with, read without parsing anything else of it.

`edgetl sign` puts `manifest.json` and `signature` first, both stored as they are. So what must be read before the
signature is known to be good is two headers of fixed length and two pieces of capped length: no search for the end
of the archive, no directory, no inflating. The manifest holds size and SHA-256 of every other member.
"""

from __future__ import annotations

import struct
from typing import IO

import msgspec

from edgetl.errors import UnsignedError
from edgetl.runtime.bundle import MAX_MANIFEST_BYTES
from edgetl.runtime.manifest import MANIFEST_NAME, SIGNATURE_NAME

MAX_SIGNATURE_BYTES = 16 << 10  # an RSA-16384 signature in armour has 6 KB
_HEADER = struct.Struct("<4sHHHHHIIIHH")  # of a zip's member: APPNOTE.TXT 4.3.7
_MARK = b"PK\x03\x04"


class SignedHead(msgspec.Struct, frozen=True):
    """What is signed, and the signature."""

    manifest: bytes
    signature: bytes


def read_signed_head(file: IO[bytes], where: str) -> SignedHead:
    """Reads the head of a bundle's file. Raises UnsignedError if it is not one that `edgetl sign` wrote."""
    file.seek(0)
    manifest = _stored(file, MANIFEST_NAME, MAX_MANIFEST_BYTES)
    signature = _stored(file, SIGNATURE_NAME, MAX_SIGNATURE_BYTES) if manifest else None
    if not manifest or not signature:
        raise UnsignedError(f"{where}: carries no signature; sign it: edgetl sign BUNDLE --key KEY")
    return SignedHead(manifest, signature)


def _stored(file: IO[bytes], name: str, limit: int) -> bytes | None:
    """The content of the stored member that begins here, or None if another begins here or it is not as we write it."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    mark, _, flags, method, _, _, _, packed, size, name_length, extra_length = _HEADER.unpack(header)
    plain = (mark, flags, method, name_length, extra_length) == (_MARK, 0, 0, len(name), 0)
    if not plain or packed != size or not 0 < size <= limit or file.read(name_length) != name.encode():
        return None
    content = file.read(size)
    return content if len(content) == size else None
