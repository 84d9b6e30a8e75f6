"""The hard backbones, float and on each rung: `python -m edgetl.benchmarks.backbones OUT [NAME …]`.

Each learns the public set of screws in $EDGETL_DATA at 96 px, and goes through int8_ladder. The two nets that have public weights
there are fine-tuned from these; the others are trained from nothing, which this set is easy enough for: a net that has learned
nothing tells nothing of int8, since chance is kept by any rounding and lost to any. All nets stand on one rung before any stands
on the next, and the tables are written anew after each, so that a run that is cut short tells of every net; one that is called
again goes on. EDGETL_RUNGS limits the rungs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import data_root, run_edgetl
from edgetl.benchmarks.int8_ladder import measure, table
from edgetl.benchmarks.int8_verdicts import WEIGHTS
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.real_pictures import SETS
from edgetl.errors import EdgetlError
from edgetl.exits import ended

BACKBONES = (
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v4_small", "efficientnet_lite0",
    "timm:efficientnet_lite0", "efficientnet_b0", "resnet18", "resnet50", "vit_tiny", "efficientnet_lite1",
    "timm:efficientnet_lite1", "efficientnet_lite2", "timm:efficientnet_lite2", "efficientnet_lite3",
    "timm:efficientnet_lite3", "efficientnet_lite4", "timm:efficientnet_lite4",
)  # fmt: skip
RUNGS = (
    "equalized",
    "min-max",
    "mse",
    "percentile",
    "entropy",
    "more-pictures",
    "float16",
    "int16",
    "distilled",
    "mixed",
)
DATA, IMGSZ, EPOCHS = "screws", 96, 12


def trained(name: str, data: Path, root: Path, out: Path) -> Path:
    """The run of one backbone, made where it is not there yet. Raises EdgetlError."""
    run = out / name.replace(":", "_")
    if not (run / "metrics.json").is_file():
        known = WEIGHTS.get(name)
        how = ("--recipe", "scratch") if known is None else ("--recipe", "finetune", "--weights", root / known)
        run_edgetl("train", "--data", data, "--model", name, *how, "--imgsz", IMGSZ, "--epochs", EPOCHS, "--out", run)
    return run


def row_of(name: str, rung: str, root: Path, out: Path) -> dict[str, Any]:
    """One backbone on one rung, or what stopped it."""
    try:
        return measure(trained(name, root / SETS[DATA], root, out), rung, out)
    except EdgetlError as error:
        # Without where this machine keeps its log.
        return {"run": name, "rung": rung, "error": str(error).partition("; its log is ")[0]}


def main() -> None:
    """Measures the named backbones, or all."""
    out, names, root = Path(sys.argv[1]), sys.argv[2:] or list(BACKBONES), data_root()
    rungs = os.environ.get("EDGETL_RUNGS", ",".join(RUNGS)).split(",")
    kept = KeptRows(out / "backbones.json", dict[str, Any], table, plan={"imgsz": IMGSZ, "data": DATA})
    known = {(row["run"], row["rung"]) for row in kept.rows}
    for rung in rungs:
        for name in names:
            if (name.replace(":", "_"), rung) not in known:
                with kept.timed() as rows:
                    rows.append(row_of(name, rung, root, out))
    print(json.dumps(kept.account()))


if __name__ == "__main__":
    sys.exit(ended(main))
