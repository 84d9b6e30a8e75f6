"""Passwords as scrypt hashes, so that the file which holds one gives nobody the password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

# OWASP's Password Storage Cheat Sheet: N=2^14, r=8, p=5 is its scrypt setting with the least memory (16 MiB),
# which a small device has to spare; 0.3 s on a Cortex-A72.
_N, _R, _P = 1 << 14, 8, 5
_MAX_MEMORY = 64 << 20
MIN_LENGTH = 10
_PARTS = 6


def hashed(password: str) -> str:
    """`scrypt$N$r$p$salt$hash`, salt and hash in base64."""
    salt = os.urandom(16)
    return "$".join(["scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_scrypt(password, salt, _N, _R, _P))])


def is_hash(text: str) -> bool:
    """Whether a text is a hash as `hashed` writes it, at no more than 16 times its cost."""
    parts = text.split("$")
    if len(parts) != _PARTS or parts[0] != "scrypt" or not all(p.isdecimal() for p in parts[1:4]):
        return False
    n, r, p = (int(v) for v in parts[1:4])
    if n < 2 or n & (n - 1) or n * r * p > 16 * _N * _R * _P or r < 1 or p < 1:
        return False
    try:
        return (
            len(base64.b64decode(parts[4], validate=True)) >= 8 and len(base64.b64decode(parts[5], validate=True)) == 32
        )
    except ValueError:
        return False


def matches(password: str, hash: str) -> bool:
    """Whether a password is the one that was hashed; takes the same time whether or not it is."""
    _, n, r, p, salt, wanted = hash.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(wanted))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
