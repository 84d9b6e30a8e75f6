"""Arrays on disk for what grows with the number of pictures, so that memory does not."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgetl.errors import storage


def scratch_array(shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Zeros in a temporary file that is already unlinked: it goes when the process does, however that ends.

    Raises StorageError where the disk is full.
    """
    count = int(np.prod(shape))
    if count == 0:
        return np.zeros(shape, dtype)
    with storage(tempfile.gettempdir()):
        file = tempfile.TemporaryFile(prefix="edgetl-scratch-")  # noqa: SIM115 - the array keeps it open
        os.posix_fallocate(file.fileno(), 0, count * np.dtype(dtype).itemsize)  # a full disk is met here, not as SIGBUS
        return np.memmap(file, dtype, "r+", shape=shape)
