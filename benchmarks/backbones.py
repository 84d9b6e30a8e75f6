"""The hard backbones, float and on each rung: `python -m edgetl.benchmarks.backbones OUT [NAME …]`.

Each gets a head that is fitted to its features of the drawn part (`--recipe probe`), and goes through int8_ladder. The features
are those of the public weights in $EDGETL_DATA for the two nets that have some there, and of weights by seed for the others,
with batch norms that know the pictures: such a net is poor, but what is compared is a net with itself. All nets stand on one rung
before any stands on the next, and the tables are written anew after each, so that a run that is cut short tells of every net; one
that is called again goes on. EDGETL_RUNGS limits the rungs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.int8_ladder import measure, table
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.seeded_weights import write_seeded_weights
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.preprocess import Preprocessing

BACKBONES = (
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v4_small", "efficientnet_lite0",
    "timm:efficientnet_lite0", "efficientnet_b0", "resnet18", "resnet50", "vit_tiny", "efficientnet_lite1",
    "timm:efficientnet_lite1", "efficientnet_lite2", "timm:efficientnet_lite2", "efficientnet_lite3",
    "timm:efficientnet_lite3", "efficientnet_lite4", "timm:efficientnet_lite4",
)  # fmt: skip
RUNGS = (
    "mse",
    "equalized",
    "min-max",
    "percentile",
    "entropy",
    "more-pictures",
    "float16",
    "int16",
    "distilled",
    "mixed",
)
WEIGHTS = {
    "mobilenet_v2": "mobilenet_v2_100_imagenet.pth",
    "efficientnet_lite0": "tf_efficientnet_lite0_features.pth",
}
IMGSZ, PICTURES = 96, 60
# The part stands in the middle of the drawn frames; a region of 0.82 of the height always holds all of it.
REGION = (0.192, 0.09, 0.808, 0.91)


def trained(name: str, data: Path, out: Path, imgsz: int = IMGSZ) -> Path:
    """The run of one backbone, made where it is not there yet. Raises EdgetlError."""
    run = out / name.replace(":", "_")
    weights = Path(os.environ.get("EDGETL_DATA", "../shared")) / "weights" / WEIGHTS.get(name, "none")
    if not (run / "metrics.json").is_file():
        if not weights.is_file():
            how = Preprocessing(size=imgsz, region=REGION)
            weights = write_seeded_weights(name, data / "train", how, out / f"{run.name}.pth")
        run_edgetl("train", "--data", data, "--model", name, "--weights", weights, "--recipe", "probe", "--imgsz", imgsz,
                   "--region", ",".join(map(str, REGION)), "--out", run)  # fmt: skip
    return run


def row_of(name: str, rung: str, data: Path, out: Path) -> dict[str, Any]:
    """One backbone on one rung, or what stopped it."""
    try:
        return measure(trained(name, data, out), rung, out)
    except EdgetlError as error:
        return {"run": name, "rung": rung, "error": str(error)}


def main() -> None:
    """Measures the named backbones, or all."""
    out, names = Path(sys.argv[1]), sys.argv[2:] or list(BACKBONES)
    rungs = os.environ.get("EDGETL_RUNGS", ",".join(RUNGS)).split(",")
    data, kept = out / "data", KeptRows(out / "backbones.json", dict[str, Any], table, plan={"imgsz": IMGSZ})
    if not data.is_dir():
        run_edgetl("sim-data", "--out", data, "--train", PICTURES, "--test", 40)
    known = {(row["run"], row["rung"]) for row in kept.rows}
    for rung in rungs:
        for name in names:
            if (name.replace(":", "_"), rung) not in known:
                with kept.timed() as rows:
                    rows.append(row_of(name, rung, data, out))
    print(json.dumps(kept.account()))


if __name__ == "__main__":
    sys.exit(ended(main))
