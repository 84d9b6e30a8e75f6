"""Accuracy on public data sets by the README's own commands: `python -m edgetl.benchmarks.real_pictures OUT [SET …]`.

For each set: train on its train folder, export, and evaluate run and bundle on its test folder. Results, with the
machine and the commands, are written to OUT/real_pictures.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import data_root, run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.files import write_file

SETS = {"screws": "data/screws/crops", "trashnet": "data/trashnet", "extrusion": "data/extrusion"}
WEIGHTS = "weights/mobilenet_v2_100_imagenet.pth"


def measure(name: str, root: Path, out: Path) -> dict[str, Any]:
    """Trains, exports and evaluates one set."""
    data, run, bundle = root / SETS[name], out / name, out / f"{name}.edgetl"
    _, training = run_edgetl("train", "--data", data, "--model", "mobilenet_v2", "--weights", root / WEIGHTS,
                             "--imgsz", 224, "--seed", 0, "--out", run)  # fmt: skip
    _, exporting = run_edgetl("export", run, "--out", bundle)
    float_model, _ = run_edgetl("evaluate", run, "--data", data, "--split", "test")
    row: dict[str, Any] = {"n": float_model["n"], "float": _accuracy(float_model)}
    for interpreter in ("litert", "onnxruntime"):
        int8, _ = run_edgetl("evaluate", bundle, "--data", data, "--split", "test", "--interpreter", interpreter)
        row[f"int8 in {interpreter}"] = _accuracy(int8)
    return {**row, "train_s": training.seconds, "export_s": exporting.seconds, "export_peak_mb": exporting.peak_mb}


def _accuracy(evaluation: dict[str, Any]) -> dict[str, float]:
    interval = evaluation["balanced_accuracy_interval"]
    figures = {"balanced_accuracy": evaluation["balanced_accuracy"], "low": interval["low"], "high": interval["high"]}
    return {name: round(100 * value, 2) for name, value in figures.items()}


def main() -> None:
    """Measures the named sets, or all."""
    out = Path(sys.argv[1])
    root = data_root()
    rows = {name: measure(name, root, out) for name in sys.argv[2:] or SETS}
    result = {"machine": machine(), "sets": rows}
    write_file(out / "real_pictures.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
