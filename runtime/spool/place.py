"""Whether the folder is where the spool may write."""

from __future__ import annotations

from pathlib import Path

from edgetl.errors import StorageError, storage

_ROOT = Path("/")


def prepare(folder: Path, own_mount: bool) -> None:
    """Makes the folder. Raises StorageError where it cannot be written, or lies on the root file system against the rule.

    Without the rule a card that fell out would let the spool fill the root file system, and hide what was stored when
    the card comes back over it.
    """
    if own_mount and _device(folder) == _ROOT.stat().st_dev:
        raise StorageError(f"{folder}: not on a file system of its own; mount it, or take `own_mount` out of `spool`")
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _device(folder: Path) -> int:
    """The file system that the folder is or would be on."""
    for place in (folder, *folder.absolute().parents):
        if place.exists():
            return place.stat().st_dev
    return _ROOT.stat().st_dev
