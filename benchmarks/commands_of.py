"""Runs edgetl's own commands and other programs for the benchmarks, and notes what each cost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgetl.errors import EdgetlError, UsageError

# An export's gate as wide as it goes, for where it is only asked how fast or how large a file is, or what plain int8 loses.
OPEN_GATE = (
    "--max-drop", 100, "--max-recall-loss", 100, "--max-flips", 100, "--max-gain-error", 1_000_000,
)  # fmt: skip


class Cost(msgspec.Struct, frozen=True):
    """Wall time, and the largest sums of resident memory (10^6 bytes) of the process and its children: of all of it, and of
    what lies in no file."""

    seconds: float
    peak_mb: float
    peak_anonymous_mb: float = 0.0


def run_edgetl(
    *args: object, judged: bool = False, environment: dict[str, str] | None = None, log: Path | None = None
) -> tuple[dict[str, Any], Cost]:
    """Runs `edgetl … --json` and returns its last line with its cost; with `judged`, also where it failed a check of its own.

    What it says on the way goes to stderr, or to the file `log`. Raises EdgetlError, with the error it ended with where that
    stands in the log.
    """
    words = [sys.executable, "-m", "edgetl", *map(str, args), "--json"]
    out, code, cost = watched(words, environment=environment, log=log)
    if code not in ((0, 1) if judged and out else (0,)):
        why = (log and _error_in(log)) or f"`edgetl {' '.join(map(str, args))}` ended with exit code {code}"
        raise EdgetlError(why)
    return json.loads(out.splitlines()[-1]), cost


def watched(
    words: Sequence[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None, log: Path | None = None
) -> tuple[str, int, Cost]:
    """Runs a program to its end: what it printed, its exit code, and its cost. What it says on stderr goes there, or to `log`."""
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        said = None if log is None else stack.enter_context(log.open("w"))
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True, env=environment, cwd=cwd
        )
        watch = _MemoryWatch(child.pid)
        try:
            out, _ = child.communicate()
        finally:
            peak, anonymous = watch.stop()
    return out, child.returncode, Cost(round(time.monotonic() - start, 2), round(peak, 1), round(anonymous, 1))


def _error_in(log: Path) -> str:
    """The last error that a command told in its log."""
    told = re.findall(r"^edgetl: E_\w+: (.*)$", log.read_text(errors="replace"), re.MULTILINE)
    return told[-1] if told else ""


class _MemoryWatch:
    """Samples the memory of a process tree ten times a second until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = self._anonymous = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            found = [_resident_mb(pid) for pid in process_tree(self._pid)]
            self._peak = max(self._peak, sum(resident for resident, _ in found))
            self._anonymous = max(self._anonymous, sum(anonymous for _, anonymous in found))

    def stop(self) -> tuple[float, float]:
        """The peaks in 10^6 bytes: of all resident memory, and of what lies in no file."""
        self._done.set()
        self._thread.join()
        return self._peak, self._anonymous


def process_tree(pid: int) -> list[int]:
    """A process and all that descend from it, whichever of its threads started them."""
    children: list[str] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += listing.read_text().split()
        except OSError:
            continue  # that thread has ended
    return [pid, *(p for child in children for p in process_tree(int(child)))]


def _resident_mb(pid: int) -> tuple[float, float]:
    """Resident memory in 10^6 bytes, and how much of it lies in no file."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
        return int(lines["VmRSS"].split()[0]) * 1024 / 1e6, int(lines["RssAnon"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError):  # it has ended
        return 0.0, 0.0


def no_cache(folder: Path) -> dict[str, str]:
    """The environment variables under which a command finds nothing that an earlier one remembered; `folder` is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    return {**os.environ, "XDG_CACHE_HOME": str(folder)}


def data_folder() -> Path:
    """Where public data sets and weights would be, $EDGETL_DATA, whether they are there or not."""
    return Path(os.environ.get("EDGETL_DATA", "../shared"))


def data_root() -> Path:
    """The folder of public data sets and weights. Raises UsageError where there are none."""
    root = data_folder()
    if not (root / "data").is_dir():
        raise UsageError(f"{root}: no public data sets there; set EDGETL_DATA (see docs/data.md)")
    return root
