"""Room on the disk behind the end of a file, which is the file's own before anything is written there."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable

_KEEP_SIZE = 1  # linux/falloc.h
_BLOCK = 512  # of st_blocks, whatever the file system's own
_UNKNOWN = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def keep_room(fd: int, size: int) -> None:
    """Sees that at least half of `size` bytes behind the file's end are allocated to it, by making it `size` again.

    Raises OSError (ENOSPC) where there is no room. A file system that knows no such thing is left as it is.
    """
    found = os.fstat(fd)
    if found.st_blocks * _BLOCK - found.st_size >= size // 2:
        return
    if _fallocate()(fd, _KEEP_SIZE, found.st_size, size) != 0:
        number = ctypes.get_errno()
        if number not in _UNKNOWN:
            raise OSError(number, os.strerror(number))


@functools.cache
def _fallocate() -> Callable[[int, int, int, int], int]:
    """fallocate(2): os.posix_fallocate moves the file's end, and writes zeros where the file system cannot allocate."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", None) or libc.fallocate  # with the first, offsets have 64 bits everywhere
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call.restype = ctypes.c_int
    found: Callable[[int, int, int, int], int] = call
    return found
