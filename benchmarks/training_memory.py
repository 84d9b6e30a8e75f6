"""Whether training needs more memory for more pictures: `python -m edgetl.benchmarks.training_memory OUT [--counts 1000,20000]`.

Draws that many pictures of two classes, trains a probe and then one epoch of all layers on each set, and samples ten times
a second how much memory the process holds. What counts is anonymous memory: pixels and features lie in files that are mapped,
whose pages the system takes back when it needs them; how much of these it kept is told beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.files import write_file

SIDE = 64  # of a picture's file in pixels
RECIPES = {
    "probe": ("--recipe", "probe"),
    "one epoch of all layers": ("--recipe", "scratch", "--epochs", 1, "--batch", 64),
}


def write_pictures(folder: Path, count: int) -> None:
    """So many pictures of two classes, no two alike: a smooth ground, noise, and for one class a bright spot."""
    if folder.exists():
        return
    random = np.random.default_rng(count)
    for number in range(count):
        label = ("ok", "spot")[number % 2]
        ground = cv2.resize(random.integers(40, 160, (5, 5, 3), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        if label == "spot":
            x, y = random.integers(8, SIDE - 8, 2)
            cv2.circle(ground, (int(x), int(y)), 6, (230, 230, 230), -1)
        path = folder / label / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", ground)[1].tobytes())


def main() -> None:
    """Measures, prints one line of JSON and writes it to OUT/training_memory.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--counts", default="1000,20000")
    parser.add_argument("--model", default="mobilenet_v2_050")
    parser.add_argument("--imgsz", type=int, default=32)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for count in map(int, given.counts.split(",")):
        data = given.out / f"pictures-{count}"
        write_pictures(data, count)
        for recipe, flags in RECIPES.items():
            run = given.out / "run"
            shutil.rmtree(run, ignore_errors=True)
            _, cost = run_edgetl("train", "--data", data, "--model", given.model, "--weights", "none", "--imgsz", given.imgsz,
                                 "--device", "cpu", *flags, "--out", run)  # fmt: skip
            rows.append({"pictures": count, "recipe": recipe, "anonymous_mb": cost.peak_anonymous_mb, "resident_mb": cost.peak_mb,
                         "seconds": cost.seconds})  # fmt: skip
            print(rows[-1], flush=True)
    result = {"model": given.model, "imgsz": given.imgsz, "rows": rows, "machine": machine()}
    write_file(given.out / "training_memory.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
