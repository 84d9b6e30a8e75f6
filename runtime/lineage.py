"""Which picture was in which split when a bundle's model was made."""

from __future__ import annotations

import msgspec

from edgetl.errors import BundleFormatError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.manifest import SPLITS_NAME


def recorded_splits(bundle: Bundle) -> dict[str, str]:
    """SHA-256 of a picture file to the split it was in."""
    try:
        by_split = msgspec.json.decode(bundle.read(SPLITS_NAME), type=dict[str, list[str]])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BundleFormatError(f"{bundle.path}: {SPLITS_NAME} is not valid: {error}") from error
    return {sha256: split for split, hashes in by_split.items() for sha256 in hashes}
