"""What a probe costs, and costs again: `python -m edgetl.benchmarks.probe_cost OUT [--weights FILE] [--pictures 2000]`.

Draws pictures, trains a head on a frozen MobileNetV2 at 224 px with the public weights in $EDGETL_DATA, in a cache of its own,
and then a second time in another run folder, which finds the features there. A head on features of a net that knows nothing is
fitted sooner. Each time is that of the whole command, from the start of the process to its end. The head alone is timed by the
command itself. With --recipe auto the decision is among what is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import data_root
from edgetl.benchmarks.int8_verdicts import WEIGHTS
from edgetl.benchmarks.machine import machine
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.files import write_file
from edgetl.runtime.sim import write_dataset
from edgetl.runtime.spare import cores

CLASSES = 5  # of the drawn part


def timed_run(words: list[str], out: Path, cache: Path) -> dict[str, float]:
    """Seconds of one `edgetl train`, and of the head by its own account."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "edgetl", "train", *words, "--out", str(out)]
    start = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "XDG_CACHE_HOME": str(cache)}
    )
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise EdgetlError(f"edgetl train ended with exit code {done.returncode}: {done.stderr}")
    head = re.search(r"head fitted in ([\d.]+) s", done.stderr)
    if head is None:
        raise EdgetlError(f"edgetl train fitted no head: {done.stderr}")
    return {"seconds": round(seconds, 2), "head_s": float(head[1])}


def main() -> None:
    """Measures, prints one line of JSON and writes it to OUT/probe_cost.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default=None, help="Others than the public ones.")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--recipe", choices=("probe", "auto"), default="probe")
    parser.add_argument("--rounds", type=int, default=3, help="Of the second run.")
    given = parser.parse_args()
    out: Path = given.out
    if not (out / "data").exists():
        write_dataset(out / "data", seed=0, pictures_per_class=given.pictures // CLASSES, width=640, height=480)
    words = [
        "--data",
        str(out / "data"),
        "--model",
        "mobilenet_v2",
        "--weights",
        str(given.weights or data_root() / WEIGHTS["mobilenet_v2"]),
        "--recipe",
        given.recipe,
    ]
    cache = out / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    first = timed_run(words, out / "first", cache)
    again = [timed_run(words, out / "second", cache) for _ in range(given.rounds)]
    result: dict[str, Any] = {
        "pictures": given.pictures, "recipe": given.recipe, "cores": cores(), "first": first, "again": again,
        "cache_mb": round(sum(p.stat().st_size for p in cache.rglob("*") if p.is_file()) / 1e6, 1), "machine": machine(),
    }  # fmt: skip
    write_file(out / "probe_cost.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
