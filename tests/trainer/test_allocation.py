"""Freed memory is kept, and given back when others need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgetl.trainer.allocation import _glibc

pytestmark = pytest.mark.skipif(_glibc() is None, reason="the C library is not glibc")

# Pages that the system maps for ten blocks of 64 MB one after the other, with or without the setting, and memory before and after.
PROGRAM = """
import resource, sys
import numpy as np
from edgetl.trainer.allocation import keep_freed_memory, return_freed_memory
BLOCK = 64 << 20
if "keep" in sys.argv:
    assert keep_freed_memory()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
def fill():
    np.empty(BLOCK, np.uint8).fill(1)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
mapped = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
kept = resident()
return_freed_memory()
print(mapped * resource.getpagesize(), kept - resident())
"""


def run(*words: str) -> tuple[int, int]:
    """Bytes that were mapped, and that were given back."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    mapped, returned = map(int, done.stdout.split())
    return mapped, returned


def test_blocks_are_mapped_once_and_not_each_time() -> None:
    (plain, _), (kept, returned) = run(), run("keep")
    assert kept < 0.1 * plain
    assert returned > 60 << 20
