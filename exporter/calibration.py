"""The calibration set: the run's own split, read through the preprocessing contract, streamed from disk."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ExportError, storage
from edgetl.runtime.picture import decode, read_bytes
from edgetl.runtime.preprocess import Preprocessing, preprocess

if TYPE_CHECKING:  # it brings torch, which the converter's own process has no use for: a second, and 200 MB
    from edgetl.trainer.run_folder import Run, SplitRecord


def pictures_of(run: Run, split: str, data: Path) -> list[SplitRecord]:
    """The run's pictures of one split, by path. Raises ExportError where the data folder is gone."""
    return _by_path((s for s in run.splits if s.split == split), data)


def calibrating(run: Run, data: Path) -> list[SplitRecord]:
    """The run's pictures that ranges are read from, by path. Raises ExportError where the data folder is gone."""
    return _by_path((s for s in run.splits if s.sets_ranges), data)


def _by_path(pictures: Iterable[SplitRecord], data: Path) -> list[SplitRecord]:
    if not data.is_dir():
        raise ExportError(f"{data}: the run's pictures are not there; name their folder with --data")
    return sorted(pictures, key=lambda s: s.path)


def require_own(data: Path, picture: SplitRecord, *, unchanged: bool = True) -> None:
    """Raises ExportError where a picture of the run is gone or, if that matters, is another one than it was."""
    if unlike := picture.unlike(data, unchanged=unchanged):
        raise ExportError(unlike)


def save(images: NDArray[np.uint8], out: Path) -> None:
    """Writes model inputs (n×S×S×3 uint8) as a .npy that the converters stream from. Raises ExportError."""
    if not len(images):
        raise ExportError("the run has no pictures that calibrate; train again")
    held = io.BytesIO()  # np.save into a file does not say so where the disk is full
    np.save(held, images)
    with storage(out):
        out.write_bytes(held.getbuffer())


def images_of(pictures: list[SplitRecord], data: Path, how: Preprocessing) -> NDArray[np.uint8]:
    """The pictures' pixels, n×S×S×3, in memory."""
    images = np.empty((len(pictures), how.size, how.size, 3), np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        image[:] = preprocess(decode(read_bytes(data / picture.path), picture.path), how)
    return images


CONSTANT = 2  # pictures that `stream` begins with; they set the input's range, and say nothing of any other
FEWEST = CONSTANT + 1  # for a calibrator whose ranges, but the input's, are replaced: those, and a real one


def stream(path: Path) -> Iterator[NDArray[np.float32]]:
    """Calibration pictures as 1×S×S×3 float32 pixels, read from disk one at a time.

    Two constant pictures come first, so that the input's range is exactly 0 to 255 and one step is one pixel value.
    """
    images = np.load(path, mmap_mode="r")
    shape = (1, *images.shape[1:])
    yield np.zeros(shape, np.float32)
    yield np.full(shape, 255, np.float32)
    for image in images:
        yield image[None].astype(np.float32)
