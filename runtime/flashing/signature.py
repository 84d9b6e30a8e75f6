"""Whether a release was signed by somebody whom this device trusts: OpenSSH's own check, with its reasons told apart."""

from __future__ import annotations

import base64
import binascii
import datetime
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetl.errors import (
    ExpiredError,
    MissingPartError,
    PurposeError,
    RevokedError,
    SignatureError,
    SignerError,
    UnsignedError,
)
from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.layout import DeviceRoot

NAMESPACE = "edgetl-bundle@edgetl"  # a signature made for anything else does not count
DOWNGRADE_NAMESPACE = "edgetl-downgrade@edgetl"
_TIMEOUT_S = 20.0
_ARMOUR = re.compile(rb"-----BEGIN SSH SIGNATURE-----(.*)-----END SSH SIGNATURE-----\s*", re.DOTALL)
_MAGIC = b"SSHSIG"
_VALID_AFTER = re.compile(r'valid-after="(\d{8}(?:\d{4}(?:\d{2})?)?)Z?"')


def check_signature(root: DeviceRoot, content: bytes, signature: bytes, now: Moment, namespace: str = NAMESPACE) -> str:
    """The principal whose signature over `content` this is.

    Raises UnsignedError, SignatureError (altered, damaged), PurposeError (another namespace), SignerError (unknown
    key), RevokedError or ExpiredError, MissingPartError without ssh-keygen.
    """
    if not signature.strip():
        raise UnsignedError("the release carries no signature; sign it: edgetl sign BUNDLE --key KEY")
    if not root.allowed_signers.is_file():
        raise SignerError(f"the device trusts nobody yet: {root.allowed_signers} is missing; run: edgetl device init")
    _check_namespace(signature, namespace)
    with _as_file(signature) as file:
        _check_bytes(content, file, namespace)
        principal, when = _principal(root, file, now)
        verify = ["-Y", "verify", "-f", str(root.allowed_signers), "-I", principal, "-n", namespace, "-s", str(file)]
        if when is not None:
            verify += ["-O", f"verify-time={when}"]
        if _keygen(verify, content).returncode != 0:
            raise PurposeError(f"{principal} may sign, but not for {namespace} (namespaces= in {root.allowed_signers})")
        if root.revoked.is_file() and _keygen([*verify, "-r", str(root.revoked)], content).returncode != 0:
            raise RevokedError(f"the key of {principal} was revoked ({root.revoked}); sign with another key")
    return principal


def _check_bytes(content: bytes, file: Path, namespace: str) -> None:
    if _keygen(["-Y", "check-novalidate", "-n", namespace, "-s", str(file)], content).returncode != 0:
        raise SignatureError("the signature is not of these bytes: the release was altered, or it is another's")


def _principal(root: DeviceRoot, file: Path, now: Moment) -> tuple[str, str | None]:
    """Who signed, and the time to check by (None: now)."""
    found = _keygen(["-Y", "find-principals", "-s", str(file), "-f", str(root.allowed_signers)], b"")
    if found.returncode == 0:
        return found.stdout.decode().splitlines()[0], None
    said = found.stderr.decode(errors="replace")
    if "not yet valid" in said:
        if now.synchronised:
            raise ExpiredError(
                f"the signing key is not yet valid at {now.text} (valid-after= in {root.allowed_signers})"
            )
        return _principal_later(root, file)
    if "expired" in said:
        hint = "" if now.synchronised else "; but nothing has set the clock right: do that first"
        raise ExpiredError(f"the signing key expired: it is {now.text} on the device{hint}; sign with another key")
    raise SignerError(f"signed by a key that is not among the device's allowed signers ({root.allowed_signers})")


def _principal_later(root: DeviceRoot, file: Path) -> tuple[str, str | None]:
    """A clock that starts in 1970 must not refuse a key as too new, so the check is made at each key's own beginning."""
    for start in _VALID_AFTER.findall(root.allowed_signers.read_text(errors="replace")):
        when = _a_day_after(start)
        asked = ["-Y", "find-principals", "-s", str(file), "-f", str(root.allowed_signers), "-O", f"verify-time={when}"]
        found = _keygen(asked, b"")
        if found.returncode == 0:
            return found.stdout.decode().splitlines()[0], when
    raise SignerError(f"signed by a key that is not among the device's allowed signers ({root.allowed_signers})")


def _a_day_after(start: str) -> str:
    day = datetime.datetime.strptime(start[:8], "%Y%m%d") + datetime.timedelta(days=1)
    return day.strftime("%Y%m%d")


def _check_namespace(signature: bytes, wanted: str) -> None:
    """Reads the namespace that a signature names of itself (PROTOCOL.sshsig), to tell this reason from others."""
    armour = _ARMOUR.fullmatch(signature)
    try:
        blob = base64.b64decode(b"".join(armour[1].split()), validate=True) if armour else b""
        found = _second_string(blob)
    except (binascii.Error, struct.error, ValueError):
        found = None
    if found is None:
        raise SignatureError("the signature is damaged: it is no SSH signature; sign the release again")
    if found != wanted.encode():
        raise PurposeError(f"signed for {found[:60].decode(errors='replace')!r}, not for {wanted!r}; use edgetl sign")


def _second_string(blob: bytes) -> bytes | None:
    """After magic (6 bytes) and version (4): two strings with their lengths, the public key and the namespace."""
    if not blob.startswith(_MAGIC):
        return None
    offset = len(_MAGIC) + 4
    for last in (False, True):
        (length,) = struct.unpack_from(">I", blob, offset)
        offset += 4
        if offset + length > len(blob):
            return None
        if last:
            return blob[offset : offset + length]
        offset += length
    return None


@contextmanager
def _as_file(signature: bytes) -> Iterator[Path]:
    """ssh-keygen reads a signature from a file only; memory serves, so that nothing is left behind."""
    fd = os.memfd_create("signature", 0)
    try:
        os.write(fd, signature)
        yield Path(f"/proc/{os.getpid()}/fd/{fd}")
    finally:
        os.close(fd)


def _keygen(arguments: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingPartError("ssh-keygen is not installed; install openssh-client")
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(
        [program, *arguments], input=content, capture_output=True, timeout=_TIMEOUT_S, check=False, env=environment
    )
