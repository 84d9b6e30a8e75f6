"""What int8 keeps on real pictures: `python -m edgetl.benchmarks.int8_verdicts OUT [SET …]`.

For each public set in $EDGETL_DATA, MobileNetV2 and EfficientNet-Lite0 with the public weights get a head (EDGETL_RECIPE,
default probe) at 224 px, and are exported twice: as everybody does (plain min-max int8, whatever it loses) and as edgetl
ships. On the test folder: balanced accuracy of float and of each file, decisions equal to float's, the rung that shipped,
operators that do not compute in int8, and how many times faster than float the file is in LiteRT. OUT/int8_verdicts.json and
.md are written anew after each row; a row that is there already, of the same recipe, is not measured again.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from edgetl.benchmarks.commands_of import OPEN_GATE, data_root, run_edgetl
from edgetl.benchmarks.interleaved import int8_against_float
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.real_pictures import SETS
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.proof import read_proofs

WEIGHTS = {
    "mobilenet_v2": "weights/mobilenet_v2_100_imagenet.pth",
    "efficientnet_lite0": "weights/tf_efficientnet_lite0_features.pth",
}
WAYS: dict[str, tuple[object, ...]] = {"plain": ("--rung", "min-max", *OPEN_GATE), "ships": ("--budget", 60)}
FLOAT = "float32 (torch)"


def trained(name: str, model: str, recipe: str, root: Path, out: Path) -> Path:
    """The run; made where it is not there yet."""
    run = out / f"{name}-{model}-{recipe}"
    if not (run / "metrics.json").is_file():
        run_edgetl("train", "--data", root / SETS[name], "--model", model, "--weights", root / WEIGHTS[model], "--imgsz", 224,
                   "--recipe", recipe, "--seed", 0, "--out", run)  # fmt: skip
    return run


def measure(name: str, model: str, recipe: str, way: str, root: Path, out: Path) -> dict[str, Any]:
    """One row."""
    row: dict[str, Any] = {"set": name, "model": model, "recipe": recipe, "way": way}
    try:
        run = trained(name, model, recipe, root, out)
        bundle = run.with_name(f"{run.name}-{way}.edgetl")
        exported, cost = run_edgetl("export", run, "--out", bundle, *WAYS[way])
    except EdgetlError as error:
        return {**row, "error": str(error)}
    with open_bundle(bundle) as opened:
        proofs = read_proofs(opened)
        precisions = {m.path: m.precision for m in opened.manifest.models}
    rows = {r["model"]: r for r in exported["measured"] if r["split"] == "test"}
    before = rows[FLOAT]["balanced_accuracy"]
    islands = {p.model: len(p.islands) for p in proofs.models} if proofs is not None else {}
    files = {
        path: {
            "precision": precision,
            "balanced_accuracy": round(100 * rows[path]["balanced_accuracy"], 2),
            "lost": round(100 * (before - rows[path]["balanced_accuracy"]), 2),
            "same_decisions": round(100 * rows[path]["same_decisions"], 2),
            "not_in_int8": islands.get(path),
        }
        for path, precision in precisions.items() if precision != "float32"
    }  # fmt: skip
    speed = msgspec.to_builtins(int8_against_float(bundle))
    return {**row, "rung": exported["rung"], "n": rows[FLOAT]["n"], "float": round(100 * before, 2), "files": files,
            "litert": speed, "export_s": cost.seconds}  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| set | model | recipe | int8 | file | float | quantized | lost | same decisions | not in int8 | times float's speed |",
        "| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        head = f"| {row['set']} ({row.get('n', '?')}) | {row['model']} | {row['recipe']} | {row['way']}"
        if "error" in row:
            lines.append(f"{head} | {row['error']} | | | | | | |")
            continue
        for path, found in row["files"].items():
            speed = f"{row['litert']['times_faster']:.2f}" if path.endswith(".tflite") else ""
            lines.append(
                f"{head}, {row['rung']} | {path} | {row['float']:.2f} | {found['balanced_accuracy']:.2f} "
                f"| {found['lost']:+.2f} | {found['same_decisions']:.2f} | {found['not_in_int8']} | {speed} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures the named sets, or all."""
    out, root, recipe = Path(sys.argv[1]), data_root(), os.environ.get("EDGETL_RECIPE", "probe")
    kept = KeptRows(out / "int8_verdicts.json", dict[str, Any], table)
    known = {(row["set"], row["model"], row["recipe"], row["way"]) for row in kept.rows}
    wanted = [(name, model, recipe, way) for name in sys.argv[2:] or SETS for model in WEIGHTS for way in WAYS]
    for case in wanted:
        if case not in known:
            with kept.timed() as rows:
                rows.append(measure(*case, root, out))
    print(json.dumps(kept.account()))


if __name__ == "__main__":
    sys.exit(ended(main))
