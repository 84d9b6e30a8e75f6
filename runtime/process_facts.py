"""What this process has cost so far, from the system's own books."""

from __future__ import annotations

import os
import time
from pathlib import Path


def seconds_since_start() -> float:
    """Seconds since the system started this process, imports and all; accurate to a clock tick (10 ms)."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def peak_memory_mb() -> float:
    """The most memory (resident set, 10^6 bytes) that this process ever held.

    Read from VmHWM, since getrusage's ru_maxrss is inherited through exec: a small program started by a large one
    would report the large one's.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
