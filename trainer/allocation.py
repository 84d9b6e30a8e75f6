"""Memory that one layer gives back is kept for the next one.

glibc asks the system for every large block anew and returns it when it is free. A training step on the CPU takes and returns gigabytes
so, and each page of them has to be cleared and mapped again: on a virtual machine with two cores an epoch of MobileNetV2 at 224 px took
36 s, and takes 24. The price is a peak of 4.2 instead of 3.5 GB (batches of 32), for gaps between blocks that stay. jemalloc and
tcmalloc, which PyTorch's tuning guide names, keep memory too, but have to be installed and loaded before the process starts.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

# Of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = -1


@cache
def keep_freed_memory() -> bool:
    """From now on freed memory stays with the process, for its next blocks of any size; whether the C library can do so."""
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, _NEVER))


def return_freed_memory() -> None:
    """Gives the system what is free now: for a while in which other processes need it more."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> Any:
    """The C library where it is glibc; musl, macOS and Windows have no such settings."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
