"""What each rung of the ladder costs and keeps: `python -m edgetl.benchmarks.int8_ladder OUT RUN …`.

Every run is exported once for each rung with the gate open, and the rows that the export measured are kept: accuracy
and decisions equal to float's, on val and on test, size and time. OUT/int8_ladder.json and .md are written anew after
each export, so that a run that is cut short leaves what it had. EDGETL_RUNGS, a list with commas, limits the rungs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import OPEN_GATE, run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.files import write_file

RUNGS = (
    "min-max", "percentile", "entropy", "mse", "equalized", "more-pictures", "distilled", "mixed", "int16", "float16",
)  # fmt: skip
FLOAT = "float32 (torch)"


def measure(run: Path, rung: str, out: Path) -> dict[str, Any]:
    """One run on one rung: a row, or the reason why there is none."""
    bundle, log = out / f"{run.name}-{rung}.edgetl", out / f"{run.name}-{rung}.log"
    try:
        exported, cost = run_edgetl("export", run, "--out", bundle, "--rung", rung, "--budget", 60, *OPEN_GATE, log=log)
        timed, _ = run_edgetl("bench", bundle, "--quick", "--out", out / f"{run.name}-{rung}.bench.json", judged=True)
    except EdgetlError as error:
        return {"run": run.name, "rung": rung, "error": str(error)}
    rows = {(row["model"], row["split"]): row for row in exported["measured"]}
    models = sorted({model for model, _ in rows if model != FLOAT and "float32" not in model}, reverse=True)
    return {
        "run": run.name,
        "rung": rung,
        "export_s": cost.seconds,
        "export_peak_mb": cost.peak_mb,
        "bundle_bytes": exported["bytes"],
        "model_bytes": _sizes(bundle),
        "p50_ms": {f"{r['model']} in {r['interpreter']}": r["p50_ms"] for r in timed["sweep"] if r["threads"] == 1},
        "models": {model: {split: _figures(rows, model, split) for split in ("val", "test")} for model in models},
    }


def _sizes(bundle: Path) -> dict[str, int]:
    """The bytes of each model file, the float one among them."""
    with open_bundle(bundle) as opened:
        return {m.path: opened.manifest.files[m.path].bytes for m in opened.manifest.models}


def _figures(rows: dict[tuple[str, str], dict[str, Any]], model: str, split: str) -> dict[str, float] | None:
    if (model, split) not in rows:
        return None
    row, float_row = rows[model, split], rows[FLOAT, split]
    return {
        "n": row["n"],
        "float": round(100 * float_row["balanced_accuracy"], 2),
        "balanced_accuracy": round(100 * row["balanced_accuracy"], 2),
        "lost": round(100 * (float_row["balanced_accuracy"] - row["balanced_accuracy"]), 2),
        "same_decisions": round(100 * row["same_decisions"], 2),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown; figures on test, in points and per cent."""
    lines = [
        "| run | rung | model | float | quantized | lost | same decisions | MB (float) | p50 ms (float) | export s |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in sorted(rows, key=lambda row: str(row["run"])):
        if "error" in row:
            lines.append(f"| {row['run']} | {row['rung']} | {row['error']} | | | | | | | |")
            continue
        for model, splits in row["models"].items():
            figures = splits["test"] or splits["val"]
            ours, floats = (_fastest(row["p50_ms"], name) for name in (model, "model/float32.tflite"))
            size, plain = (row["model_bytes"].get(name, 0) / 1e6 for name in (model, "model/float32.tflite"))
            lines.append(
                f"| {row['run']} | {row['rung']} | {model} | {figures['float']:.2f} | {figures['balanced_accuracy']:.2f} "
                f"| {figures['lost']:+.2f} | {figures['same_decisions']:.2f} | {size:.2f} ({plain:.2f}) "
                f"| {ours:.2f} ({floats:.2f}) | {row['export_s']:.0f} |"
            )
    return "\n".join(lines) + "\n"


def _fastest(times: dict[str, float], model: str) -> float:
    """The least median of a model's interpreters, in ms; not a number where none could time it."""
    return min((ms for name, ms in times.items() if name.startswith(model)), default=float("nan"))


def main() -> None:
    """Measures every named run on every rung."""
    out, runs = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    wanted = os.environ.get("EDGETL_RUNGS", ",".join(RUNGS)).split(",")
    rows: list[dict[str, Any]] = []
    for run in runs:
        for rung in wanted:
            rows.append(measure(run, rung, out))
            write_file(out / "int8_ladder.json", json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
            write_file(out / "int8_ladder.md", table(rows))
    print(table(rows))


if __name__ == "__main__":
    sys.exit(ended(main))
