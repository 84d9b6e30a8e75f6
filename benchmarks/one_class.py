"""What training from good parts alone comes to: `python -m edgetl.benchmarks.one_class OUT WEIGHTS MODEL SET …`.

SET is a folder DIR/{train,test}/<class>; its good class is its only one in train. Each is trained, exported and judged on test,
float and int8, by the commands that a user types. EDGETL_BESIDE names a classifier's bundle of the same backbone and size:
both are asked in turn, one thread each, so that their times can be compared. OUT/one_class.json and .md are written.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.files import write_file
from edgetl.runtime.interpreters import Interpreter, open_named

ROUNDS = 150


def measure(data: Path, weights: Path, model: str, out: Path) -> dict[str, Any]:
    """One data set from training to verdicts."""
    run, bundle = out / f"{data.name}-{model}", out / f"{data.name}-{model}.edgetl"
    trained, _ = run_edgetl("train", "--recipe", "one-class", "--data", data, "--model", model, "--weights", weights,
                            "--out", run)  # fmt: skip
    exported, cost = run_edgetl("export", run, "--out", bundle)
    judged = {name: run_edgetl("evaluate", target, "--data", data, *more)[0] for name, target, more in (
        ("float", run, ()), ("int8 TFLite", bundle, ("--interpreter", "litert")),
        ("int8 ONNX", bundle, ("--interpreter", "onnxruntime")),
    )}  # fmt: skip
    return {
        "set": data.name, "model": model, "pictures": trained["pictures"], "train_s": trained["seconds"],
        "export_s": cost.seconds, "rung": exported["rung"],
        "judged": {name: {"auroc": found["auroc"], "verdicts": found["verdicts"]} for name, found in judged.items()},
        "ms": beside(bundle),
    }  # fmt: skip


def beside(bundle: Path) -> dict[str, float]:
    """Median milliseconds of an answer, each asked in turn: one-class, its backbone alone, and the classifier if named."""
    with open_bundle(bundle) as opened:
        one_class, size = open_named(opened, "litert"), opened.manifest.preprocessing.size
    asked = {"one-class": one_class.logits, "its maps alone": one_class.raw}
    if named := os.environ.get("EDGETL_BESIDE"):
        with open_bundle(Path(named)) as opened:
            other: Interpreter = open_named(opened, "litert")
        asked["classifier"] = other.logits
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    times: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(ROUNDS + 10):
        for name, ask in asked.items():
            start = time.perf_counter()
            ask(image)
            if turn >= 10:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(statistics.median(found), 2) for name, found in times.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| set | backbone | good to learn from | file | AUROC | 95 % interval | good not OK | bad OK | ms, one-class / maps / classifier |",
        "| --- | --- | ---: | --- | ---: | --- | ---: | ---: | --- |",
    ]
    for row in rows:
        times = " / ".join(f"{ms:g}" for ms in row["ms"].values())
        for name, found in row["judged"].items():
            area, (good, bad) = found["auroc"], found["verdicts"].values()
            interval = f"{area['interval']['low']:.3f} to {area['interval']['high']:.3f}"
            lines.append(
                f"| {row['set']} | {row['model']} | {row['pictures']['train']} | {name} | {area['value']:.4f} | {interval} "
                f"| {good['NG'] + good['UNKNOWN']} of {area['good']} | {bad['OK']} of {area['bad']} | {times} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every named set."""
    out, weights, model = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    rows: list[dict[str, Any]] = []
    for name in sys.argv[4:]:
        rows.append(measure(Path(name), weights, model, out))
        write_file(out / "one_class.json", json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
        write_file(out / "one_class.md", table(rows))
    print(table(rows))


if __name__ == "__main__":
    sys.exit(ended(main))
