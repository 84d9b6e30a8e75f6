"""Makes a bundle a release: writes what orders and directs it into the manifest, and signs that with an SSH key.

OpenSSH does the signing, so that a key may lie in a file, an agent or a hardware token. What is signed is the
manifest, which holds size and SHA-256 of every other member; a device reads it and the signature, and nothing else of
the bundle, before it knows that they belong together.
"""

from __future__ import annotations

import datetime
import json
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import msgspec

from edgetl.errors import MissingPartError, SigningError, UsageError, storage
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.files import replacing
from edgetl.runtime.flashing.signature import DOWNGRADE_NAMESPACE, NAMESPACE
from edgetl.runtime.manifest import MANIFEST_NAME, SIGNATURE_NAME, Release, parse_manifest

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's zero: the same content gives the same bytes
_KEY_TIMEOUT_S = 120.0  # a hardware token waits to be touched


def next_number() -> int:
    """The default number of a release: its date and time to the second in UTC, as digits, which only ever grows."""
    return int(datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d%H%M%S"))


def sign(bundle: Path, out: Path, key: Path, release: Release) -> None:
    """Writes `bundle` as a signed release to `out`, which may be the same file.

    Raises BundleError for a bundle that is damaged, SigningError for a key that cannot be used, StorageError.
    """
    with open_bundle(bundle) as opened:
        manifest = _with_release(opened, release)
        signature = signature_of(manifest, key, NAMESPACE)
        with replacing(out) as temporary, storage(out), zipfile.ZipFile(temporary, "w") as archive:
            # The order and the storing are what a device reads the head of a release by.
            _add(archive, MANIFEST_NAME, manifest, compressed=False)
            _add(archive, SIGNATURE_NAME, signature, compressed=False)
            for name in opened.manifest.files:
                _add(archive, name, opened.read(name), compressed=name.endswith((".json", ".md")))


def permit(text: bytes, key: Path) -> bytes:
    """The signature that permits one downgrade. Raises SigningError."""
    return signature_of(text, key, DOWNGRADE_NAMESPACE)


def signature_of(content: bytes, key: Path, namespace: str) -> bytes:
    """An SSH signature over `content`. `key` is a private key, or a public one whose private half an agent holds."""
    _check_key(key)
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingPartError("ssh-keygen is not installed; install openssh-client")
    try:
        done = subprocess.run(
            [program, "-q", "-Y", "sign", "-f", str(key), "-n", namespace], input=content, capture_output=True,
            timeout=_KEY_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise SigningError(f"{key}: no signature within {_KEY_TIMEOUT_S:g} s; is the token touched?") from error
    if done.returncode != 0 or not done.stdout:
        raise SigningError(f"{key}: {_explained(done.stderr.decode(errors='replace'), key)}")
    return done.stdout


def _check_key(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise UsageError(f"{key}: no such key; name a private key, or a public one that an agent holds") from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"{key}: not a file; name a key")
    if key.suffix != ".pub" and mode & 0o077:
        raise SigningError(
            f"{key}: others may read this private key (mode {stat.S_IMODE(mode):o}); whoever did can sign for your line: "
            f"chmod 600 {key}, or better, make a new key"
        )


def _explained(said: str, key: Path) -> str:
    if key.suffix == ".pub":
        return f"no agent holds the private half of this key; add it: ssh-add {key.with_suffix('')}"
    if "passphrase" in said:
        return f"the key is locked; unlock it in an agent (ssh-add {key}) and sign with --key {key}.pub"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"ssh-keygen cannot sign with it: {lines[-1] if lines else 'no reason given'}"


def _with_release(bundle: Bundle, release: Release) -> bytes:
    """The bundle's manifest with the release in it; fields that this version does not know are kept."""
    manifest = json.loads(bundle.manifest_bytes)
    manifest["release"] = msgspec.to_builtins(release)
    data = msgspec.json.format(msgspec.json.encode(manifest))
    parse_manifest(data, str(bundle.path))
    return data


def _add(archive: zipfile.ZipFile, name: str, data: bytes, *, compressed: bool) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)
