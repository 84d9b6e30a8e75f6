"""What was once found out about a picture and costs time to find out again: its features, and that it can be read.

A *space* is all that a value depends on beside the picture's bytes. Its values lie in files of their own, which are never
changed: each is named by the digest of its content, so writers need no lock, and a damaged file shows itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import StorageError
from edgetl.runtime.files import cache_folder, write_file
from edgetl.trainer.scratch import scratch_array

MAX_BYTES = 2_000_000_000  # of all spaces together: features of some 400,000 pictures
CHUNK = 512  # pictures a file at most, so that reading and writing need little memory however many there are

_log = logging.getLogger("edgetl.train")


def space_of(kind: str, **facts: object) -> str:
    """The name of the space of values of a kind that depend on these facts."""
    return f"{kind}-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]}"


class FeatureCache:
    """Values of one space by the SHA-256 (hex) of their pictures; each is an array of one dimension. `folder` is for tests."""

    def __init__(self, space: str, folder: Path | None = None) -> None:
        self._root = folder or cache_folder() / "features"
        self._folder = self._root / space

    def recall(self, pictures: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values (pictures × d; d is 0 where none is known) and which of them are known. Damaged files are removed."""
        rows: dict[bytes, list[int]] = {}
        for row, picture in enumerate(pictures):
            rows.setdefault(bytes.fromhex(picture), []).append(row)
        known = np.zeros(len(pictures), bool)
        values: NDArray[Any] = np.zeros((len(pictures), 0), np.float32)
        for path in self._files():
            content = _read(path)
            if content is None:
                continue
            hashes, found = content
            if not values.shape[1]:
                values = scratch_array((len(pictures), found.shape[1]), found.dtype)
            used = False
            for sha256, value in zip(map(bytes, hashes), found, strict=True):
                for row in rows.get(sha256, ()):
                    values[row], known[row], used = value, True, True
            if used:
                _touch(path)
        return values, known

    def keep(self, pictures: Sequence[str], values: NDArray[Any]) -> None:
        """Adds values; where the disk is full or the folder cannot be written, that is logged and nothing else happens."""
        from safetensors.numpy import save

        try:
            for start in range(0, len(pictures), CHUNK):
                part = pictures[start : start + CHUNK]
                hashes = np.frombuffer(bytes.fromhex("".join(part)), np.uint8).reshape(len(part), 32)
                data = save({"sha256": hashes, "values": np.ascontiguousarray(values[start : start + CHUNK])})
                write_file(self._folder / f"{hashlib.sha256(data).hexdigest()}.safetensors", data)
        except StorageError as error:
            _say_not_kept(self._root, str(error).partition(": ")[2])
        _bound(self._root, MAX_BYTES)

    def is_empty(self) -> bool:
        """Whether nothing at all is known."""
        return not self._files()

    def _files(self) -> list[Path]:
        try:
            return sorted(
                p for p in self._folder.glob("*.safetensors") if not p.name.startswith(".")
            )  # those being written
        except OSError:
            return []


@cache
def _say_not_kept(root: Path, why: str) -> None:
    """Once in a process, which keeps many things."""
    _log.warning("what was found out about the pictures is not kept for another run: cannot write %s: %s", root, why)


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[Any]] | None:
    """The hashes (n×32) and values (n×d) of a file; None, and the file is gone, where it is not what was written."""
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError:
        return None  # another process made room meanwhile
    if hashlib.sha256(data).hexdigest() != path.stem:
        _log.warning("%s is damaged; it is removed, and what it held is computed again", path)
        path.unlink(missing_ok=True)
        return None
    tensors = load(data)
    return tensors["sha256"], tensors["values"]


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        return  # gone, or another user's


def _bound(root: Path, most: int) -> None:
    """Removes the files that were not used for the longest time until the others take up `most` bytes or fewer."""
    found = []
    for path in root.glob("*/*"):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size
