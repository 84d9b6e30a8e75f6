"""Every error that edgetl raises on purpose, in one tree.

    EdgetlError                    exit code 1: a check failed
    ├── UsageError                 exit code 2: what was asked for cannot be meant
    │   └── DatasetError           a folder that cannot be a data set
    ├── MissingPartError           exit code 3: an optional part is not installed
    ├── PictureError               one picture file cannot be read
    ├── FrameError                 an array that is no BGR frame
    ├── BundleError                a bundle that must not be used
    │   ├── BundleFormatError      not a bundle, or of a format this version does not know
    │   ├── BundleSizeError        truncated, padded, or larger than allowed
    │   └── BundleHashError        a file differs from what the manifest promised
    ├── ModelError                 an interpreter refused a model, or the model breaks the contract
    ├── GoldenError                the golden set does not give what it gave at export
    ├── SourceError                a camera, a stream or a file gives no frames
    ├── RunError                   a training run folder is incomplete or damaged
    ├── TrainingError              training cannot go on
    ├── WeightsError               pretrained weights are missing or do not fit
    ├── ExportError                a conversion step failed
    │   └── GateError              int8 lost more than allowed
    └── StorageError               the disk is full or not writable

A message is one line: what was wrong, where, what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EdgetlError(Exception):
    """The root of the tree: something edgetl checked did not hold."""

    exit_code = 1
    code = "E_FAILED"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UsageError(EdgetlError):
    """What was asked for cannot be meant: a wrong flag, a path that is not there."""

    exit_code = 2
    code = "E_USAGE"


class DatasetError(UsageError):
    """A folder that cannot serve as a data set."""

    code = "E_DATASET"


class MissingPartError(EdgetlError):
    """An optional part (an extra, an interpreter) is not installed."""

    exit_code = 3
    code = "E_MISSING_PART"


class PictureError(EdgetlError):
    """One picture file cannot be read."""

    code = "E_PICTURE"


class FrameError(EdgetlError):
    """An array that is no H×W×3 uint8 BGR frame."""

    code = "E_FRAME"


class BundleError(EdgetlError):
    """A bundle that must not be used."""

    code = "E_BUNDLE"


class BundleFormatError(BundleError):
    """Not a bundle, or of a format that this version does not know."""

    code = "E_FORMAT"


class BundleSizeError(BundleError):
    """Truncated, padded, or larger than allowed."""

    code = "E_SIZE"


class BundleHashError(BundleError):
    """A file differs from what the manifest promised."""

    code = "E_HASH"


class ModelError(EdgetlError):
    """An interpreter refused a model, or the model breaks the input or output contract."""

    code = "E_MODEL"


class GoldenError(EdgetlError):
    """The golden set does not give here what it gave at export."""

    code = "E_GOLDEN"


class SourceError(EdgetlError):
    """A camera, a stream or a file gives no frames."""

    code = "E_SOURCE"


class RunError(EdgetlError):
    """A training run folder is incomplete or damaged."""

    code = "E_RUN"


class TrainingError(EdgetlError):
    """Training cannot go on."""

    code = "E_TRAINING"


class WeightsError(EdgetlError):
    """Pretrained weights are missing or do not fit the network."""

    code = "E_WEIGHTS"


class ExportError(EdgetlError):
    """A conversion step failed."""

    code = "E_EXPORT"


class GateError(ExportError):
    """The int8 model lost more than allowed; no bundle is left behind."""

    code = "E_GATE"


class StorageError(EdgetlError):
    """The disk is full or not writable; what was there before is untouched."""

    code = "E_STORAGE"


_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "no permission to write; choose another folder or change its permissions",
    errno.EPERM: "no permission to write; choose another folder or change its permissions",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "a file of that name is in the way; choose another folder",
    errno.EIO: "the disk reported an I/O error; check the disk",
}


@contextmanager
def storage(where: Path | str) -> Iterator[None]:
    """Turns an OSError met while writing under `where` into one StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = _DISK_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot write {where}: {reason}") from error
