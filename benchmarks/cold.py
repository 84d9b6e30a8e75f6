"""A start from nothing, in a process of its own: `python -m edgetl.benchmarks.cold BUNDLE INTERPRETER THREADS`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from edgetl.errors import ModelError


class Cold(msgspec.Struct, frozen=True):
    """Medians in milliseconds over so many new processes: imports, loading the model, the first inference, and all from its
    start. What they read lies in the system's cache by then: after a boot the first start waits for the disk as well."""

    processes: int
    import_ms: float
    load_ms: float
    first_ms: float
    process_ms: float
    all: list[dict[str, float]]


def measure(bundle: Path, interpreter: str, threads: int, processes: int) -> Cold:
    """Starts so many processes, one after the other."""
    found = [_once(bundle, interpreter, threads) for _ in range(processes)]
    medians = {name: round(statistics.median(one[name] for one in found), 2) for name in found[0]}
    return Cold(processes=processes, all=found, **medians)


def _once(bundle: Path, interpreter: str, threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", "edgetl.benchmarks.cold", str(bundle), interpreter, str(threads)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole_ms = (time.perf_counter() - began) * 1000
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ModelError(f"{bundle}: a new process could not load the model: {said[-1]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "process_ms": round(whole_ms, 1)}


def _child(path: Path, name: str, threads: int) -> dict[str, float]:
    start = time.perf_counter()
    import numpy as np

    from edgetl.runtime.bundle import open_bundle
    from edgetl.runtime.interpreters import open_named
    from edgetl.runtime.interpreters.registry import available

    available()
    imported = time.perf_counter()
    with open_bundle(path) as bundle:
        interpreter = open_named(bundle, name, threads)
    loaded = time.perf_counter()
    interpreter.logits(np.zeros((interpreter.size, interpreter.size, 3), np.uint8))
    ended = time.perf_counter()
    marks = {"import_ms": imported - start, "load_ms": loaded - imported, "first_ms": ended - loaded}
    return {key: round(seconds * 1000, 2) for key, seconds in marks.items()}


if __name__ == "__main__":
    print(json.dumps(_child(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
