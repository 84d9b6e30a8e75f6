"""Decodes every picture once, through the preprocessing contract, into one array of pixels on disk.

The array is memory-mapped, so memory does not grow with the number of pictures: the system keeps what fits.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import PictureError, storage
from edgetl.runtime.dataset import Picture
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.trainer.splits import FINGERPRINT_SIDE, Sample

Progress = Callable[[int, int], None]
_WINDOW = 64  # pictures decoded ahead, so that memory stays bounded


class Store(msgspec.Struct):
    """Readable pictures: `images` n×S×S×3 uint8 RGB (memory-mapped), `fingerprints` n×256 uint8, `samples` in order."""

    samples: list[Sample]
    images: NDArray[np.uint8]
    fingerprints: NDArray[np.uint8]
    passed_over: dict[str, str]


class _Decoded(msgspec.Struct):
    sha256: str
    image: Image
    fingerprint: NDArray[np.uint8]


def load(root: Path, pictures: Iterable[Picture], how: Preprocessing, progress: Progress | None = None) -> Store:
    """Decodes and preprocesses pictures below `root`. Unreadable ones are passed over with their reason."""
    todo = list(pictures)
    images = _scratch_array((len(todo), how.size, how.size, 3))
    prints = np.zeros((len(todo), FINGERPRINT_SIDE * FINGERPRINT_SIDE), np.uint8)
    samples: list[Sample] = []
    passed_over: dict[str, str] = {}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for start in range(0, len(todo), _WINDOW):
            window = todo[start : start + _WINDOW]
            results = pool.map(lambda p: _attempt(root / p.path, how), window)
            for picture, result in zip(window, results, strict=True):
                if isinstance(result, PictureError):
                    passed_over[picture.path] = str(result)
                    continue
                n = len(samples)
                images[n], prints[n] = result.image, result.fingerprint
                samples.append(Sample(picture.path, picture.label, result.sha256, picture.split))
            if progress:
                progress(start + len(window), len(todo))
    return Store(samples, images[: len(samples)], prints[: len(samples)], passed_over)


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


def _scratch_array(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array in a temporary file that is already unlinked: it goes when the process does, however that ends."""
    with storage(tempfile.gettempdir()):
        file = tempfile.TemporaryFile(prefix="edgetl-pixels-")  # noqa: SIM115 - the array keeps it open
        os.posix_fallocate(file.fileno(), 0, max(1, int(np.prod(shape))))  # a full disk is met here, not as SIGBUS
        return np.memmap(file, np.uint8, "r+", shape=shape) if shape[0] else np.zeros(shape, np.uint8)
