"""Decodes pictures through the preprocessing contract into one array of pixels on disk, each when it is first asked for.

The array is memory-mapped, so memory does not grow with the number of pictures: the system keeps what fits. What a picture
looks like from afar is kept from run to run, so that one whose features are known as well need not be decoded again.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import msgspec
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edgetl.errors import DatasetError, PictureError
from edgetl.runtime import jpeg, picture
from edgetl.runtime import preprocess as preprocessing
from edgetl.runtime.dataset import Picture, sha256_of
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.runtime.spare import cores
from edgetl.trainer.feature_cache import FeatureCache, space_of
from edgetl.trainer.scratch import scratch_array
from edgetl.trainer.splits import FINGERPRINT_SIDE, Sample

Progress = Callable[[int, int], None]
_WINDOW = 64  # pictures decoded ahead, so that memory stays bounded


class Pixels:
    """n×S×S×3 uint8 RGB in a memory-mapped scratch file. Indexed as an array is, by a number or an array of numbers; a
    picture that was not decoded yet is decoded then. Raises DatasetError where its file is no longer what it was."""

    def __init__(
        self, root: Path, samples: Sequence[Sample], how: Preprocessing, slots: NDArray[np.int64], scratch: Scratch
    ) -> None:
        self.samples = samples
        self.how = how
        self._root = root
        self._slots = slots  # of the scratch array, by the picture's number
        self._scratch = scratch

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """n, S, S, 3."""
        return (len(self), self.how.size, self.how.size, 3)

    def __getitem__(self, rows: int | np.int64 | NDArray[np.int64]) -> NDArray[np.uint8]:
        slots = self._slots[rows]
        self.fill(np.atleast_1d(np.arange(len(self))[rows]))
        found: NDArray[np.uint8] = self._scratch.images[slots]
        return found

    def fill(self, rows: NDArray[np.int64], progress: Progress | None = None) -> None:
        """Decodes those of the pictures that were not decoded yet."""
        missing = rows[~self._scratch.filled[self._slots[rows]]]
        if not len(missing):
            return
        with _pool() as pool:
            for start in range(0, len(missing), _WINDOW):
                list(pool.map(self._decode, missing[start : start + _WINDOW].tolist()))
                if progress:
                    progress(min(start + _WINDOW, len(missing)), len(missing))

    def only(self, samples: Sequence[Sample], rows: NDArray[np.int64]) -> Pixels:
        """Some of the pictures, in that order; they share the scratch file."""
        return Pixels(self._root, samples, self.how, self._slots[rows], self._scratch)

    def missing(self, rows: NDArray[np.int64]) -> int:
        """How many of the pictures were not decoded yet."""
        return int((~self._scratch.filled[self._slots[rows]]).sum())

    def _decode(self, row: int) -> None:
        sample, slot = self.samples[row], self._slots[row]
        found = _attempt(self._root / sample.path, self.how)
        if isinstance(found, PictureError) or found.sha256 != sample.sha256:
            raise DatasetError(f"{self._root / sample.path}: changed while it was in use; start again")
        self._scratch.images[slot], self._scratch.filled[slot] = found.image, True


class Store(msgspec.Struct):
    """Readable pictures: `images` n×S×S×3 uint8 RGB, `fingerprints` n×256 uint8, `samples` in order."""

    samples: list[Sample]
    images: Pixels
    fingerprints: NDArray[np.uint8]
    passed_over: dict[str, str]


class Scratch(msgspec.Struct):
    """Room for pictures, n×S×S×3 uint8 (memory-mapped), and which of them are there."""

    images: NDArray[np.uint8]
    filled: NDArray[np.bool_]


class _Decoded(msgspec.Struct):
    sha256: str
    image: Image
    fingerprint: NDArray[np.uint8]


def load(root: Path, pictures: Iterable[Picture], how: Preprocessing, progress: Progress | None = None) -> Store:
    """Reads pictures below `root`, and decodes those whose fingerprints are not known. Unreadable ones are passed over
    with their reason."""
    todo = list(pictures)
    scratch = Scratch(scratch_array((len(todo), how.size, how.size, 3)), np.zeros(len(todo), bool))
    cache = FeatureCache(space_of("fingerprints", **decoding(how)))
    hashes, prints, known = _known(root, todo, cache)
    samples: list[Sample] = []
    slots: list[int] = []
    fresh: list[int] = []
    passed_over: dict[str, str] = {}
    with _pool() as pool:
        for start in range(0, len(todo), _WINDOW):
            window = range(start, min(start + _WINDOW, len(todo)))
            results = pool.map(lambda n: None if known[n] else _attempt(root / todo[n].path, how), window)
            for n, result in zip(window, results, strict=True):
                if isinstance(result, PictureError):
                    passed_over[todo[n].path] = str(result).removeprefix(f"{root / todo[n].path}: ")
                    continue
                if result is not None:
                    scratch.images[n], scratch.filled[n], prints[n] = result.image, True, result.fingerprint
                    hashes[n] = result.sha256
                    fresh.append(n)
                slots.append(n)
                samples.append(Sample(todo[n].path, todo[n].label, hashes[n] or "", todo[n].split))
            if progress:
                progress(window.stop, len(todo))
    if fresh:
        cache.keep([hashes[n] or "" for n in fresh], prints[fresh])
    order = np.array(slots, np.int64)
    return Store(samples, Pixels(root, samples, how, order, scratch), prints[order], passed_over)


def decoding(how: Preprocessing) -> dict[str, object]:
    """All that a picture's pixels depend on beside its bytes: the record, our code, and the decoders' versions."""
    code = "".join(inspect.getsource(module) for module in (picture, jpeg, preprocessing))
    return {
        "preprocessing": msgspec.to_builtins(how), "code": hashlib.sha256(code.encode()).hexdigest(),
        "opencv": cv2.__version__, "simplejpeg": simplejpeg.__version__,
    }  # fmt: skip


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


def _known(
    root: Path, pictures: Sequence[Picture], cache: FeatureCache
) -> tuple[list[str | None], NDArray[np.uint8], NDArray[np.bool_]]:
    """SHA-256 of each file (None where it is not known yet), fingerprints n×256, and which of these are known."""
    width = FINGERPRINT_SIDE * FINGERPRINT_SIDE
    prints, known = np.zeros((len(pictures), width), np.uint8), np.zeros(len(pictures), bool)
    if cache.is_empty():  # then each file is read only once
        return [None] * len(pictures), prints, known
    with _pool() as pool:
        hashes = list(pool.map(lambda one: _hash(root / one.path), pictures))
    found, known = cache.recall([sha256 or "" for sha256 in hashes])
    return hashes, found if found.shape[1] == width else prints, known


def _hash(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except PictureError:
        return None


def require_pictures(root: Path, stored: Store) -> None:
    """Raises DatasetError where not one picture could be read."""
    if not stored.samples:
        path, reason = next(iter(stored.passed_over.items()))
        raise DatasetError(f"{root}: none of its pictures can be read; the first is {path}: {reason}")


def without(stored: Store, left_out: Collection[str]) -> Store:
    """The store without some pictures, by path."""
    kept = [n for n, sample in enumerate(stored.samples) if sample.path not in left_out]
    samples = [stored.samples[n] for n in kept]
    return Store(
        samples, stored.images.only(samples, np.array(kept, np.int64)), stored.fingerprints[kept], stored.passed_over
    )


def _attempt(path: Path, how: Preprocessing) -> _Decoded | PictureError:
    try:
        data = read_bytes(path)
        image = preprocess(decode(data, str(path)), how)
    except PictureError as error:
        return error
    return _Decoded(hashlib.sha256(data).hexdigest(), image, fingerprint(image))


def fingerprint(image: Image) -> NDArray[np.uint8]:
    """A 16×16 grey thumbnail as 256 values: near copies of a picture have near thumbnails."""
    side = (FINGERPRINT_SIDE, FINGERPRINT_SIDE)
    grey: NDArray[np.uint8] = cv2.cvtColor(cv2.resize(image, side, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return grey.reshape(-1)
