"""Importing what is large."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """What is made meanwhile, as by the import of torch, stays as long as the process does, and no garbage is looked for in it.

    Python would look through hundreds of thousands of new classes and functions again and again while they are made, which is
    a sixth of the time that importing torch, timm and torchvision takes, and once more with every full collection later.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
