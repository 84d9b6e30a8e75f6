"""Runs edgetl's own commands for the benchmarks, and notes what each cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from edgetl.errors import EdgetlError


class Cost(msgspec.Struct, frozen=True):
    """Wall time, and the largest sum of resident memory (10^6 bytes) of the process and its children."""

    seconds: float
    peak_mb: float


def run_edgetl(*args: object) -> tuple[dict[str, Any], Cost]:
    """Runs `edgetl … --json` and returns its last line with its cost. Raises EdgetlError."""
    words = [sys.executable, "-m", "edgetl", *map(str, args), "--json"]
    start = time.monotonic()
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    watch = _MemoryWatch(child.pid)
    out, _ = child.communicate()
    cost = Cost(round(time.monotonic() - start, 2), round(watch.stop(), 1))
    if child.returncode != 0:
        raise EdgetlError(f"`edgetl {' '.join(map(str, args))}` ended with exit code {child.returncode}")
    return json.loads(out.splitlines()[-1]), cost


class _MemoryWatch:
    """Samples the memory of a process tree ten times a second until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self._peak = max(self._peak, sum(_resident_mb(pid) for pid in _tree(self._pid)))

    def stop(self) -> float:
        """The peak in 10^6 bytes."""
        self._done.set()
        self._thread.join()
        return self._peak


def _tree(pid: int) -> list[int]:
    """A process and all that descend from it, whichever of its threads started them."""
    children: list[str] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += listing.read_text().split()
        except OSError:
            continue  # that thread has ended
    return [pid, *(p for child in children for p in _tree(int(child)))]


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def data_root() -> Path:
    """The folder of public data sets and weights, $EDGETL_DATA."""
    root = Path(os.environ.get("EDGETL_DATA", "../shared"))
    if not (root / "data").is_dir():
        raise EdgetlError(f"{root}: no public data sets there; set EDGETL_DATA (see docs/data.md)")
    return root
