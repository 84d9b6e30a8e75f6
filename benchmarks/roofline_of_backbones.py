"""How near each backbone comes to what the machine can do: `python -m edgetl.benchmarks.roofline_of_backbones OUT [NAME …]`.

Each backbone gets a head on features by seed or by the public weights in $EDGETL_DATA (speed does not depend on weights), is
exported int8 at 224 px, and timed with one thread in every interpreter that is installed. Of the two that come least near in
LiteRT, every operator is timed. OUT/roofline.json is written anew after each backbone; called again, it goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from click import echo

from edgetl.benchmarks.commands_of import OPEN_GATE, data_folder, run_edgetl
from edgetl.benchmarks.int8_verdicts import WEIGHTS
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.roofline.ceiling import Machine
from edgetl.benchmarks.roofline.profile import by_kind, profile
from edgetl.benchmarks.seeded_weights import write_seeded_weights
from edgetl.benchmarks.stages import frames_of
from edgetl.benchmarks.sweep import Candidate, Row, row_of, with_ceilings
from edgetl.benchmarks.timing import Effort
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.interpreters import available
from edgetl.runtime.interpreters.registry import format_of
from edgetl.runtime.preprocess import Preprocessing
from edgetl.runtime.sim import write_dataset

BACKBONES = (
    "mobilenet_v2", "mobilenet_v2_050", "mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v4_small", "efficientnet_lite0",
    "efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4", "efficientnet_b0", "resnet18",
    "resnet50", "vit_tiny",
)  # fmt: skip
IMGSZ = 224
# The part stands in the middle of the drawn frames; a region of 0.82 of the height always holds all of it.
REGION = (0.192, 0.09, 0.808, 0.91)
EFFORT = Effort(warm_up_runs=20, warm_up_s=0.5, runs=200, seconds=3.0, most_seconds=10.0)
EXPLAINED = 2


def draw(data: Path) -> None:
    """The pictures of all backbones, if they are not there yet; weights by seed are made on those in train."""
    if not data.is_dir():
        splits = {"train": 0.8, "test": 0.2}
        write_dataset(data, seed=0, pictures_per_class=35, width=320, height=240, splits=splits)


def trained(name: str, data: Path, out: Path, imgsz: int = IMGSZ) -> Path:
    """The run of one backbone, made where it is not there yet. Raises EdgetlError."""
    run = out / name
    weights = data_folder() / WEIGHTS.get(name, "none")
    if not (run / "metrics.json").is_file():
        if not weights.is_file():
            how = Preprocessing(size=imgsz, region=REGION)
            weights = write_seeded_weights(name, data / "train", how, out / f"{name}.pth")
        run_edgetl("train", "--data", data, "--model", name, "--weights", weights, "--recipe", "probe", "--imgsz", imgsz,
                   "--region", ",".join(map(str, REGION)), "--out", run)  # fmt: skip
    return run


def exported(name: str, out: Path) -> Path:
    """The bundle of one backbone, made where it is not there yet. Raises EdgetlError."""
    bundle = out / f"{name}.edgetl"
    if not bundle.is_file():
        run = trained(name, out / "data", out)
        run_edgetl("export", run, "--out", bundle, "--rung", "min-max", "--min-score", 0, *OPEN_GATE)
    return bundle


def timed_rows(bundle: Bundle, here: Machine) -> list[Row]:
    """The int8 file in every interpreter, with one thread."""
    frames = frames_of(bundle)
    wanted = [Candidate(name, "int8", 1) for name in available() if bundle.model(format_of(name), "int8") is not None]
    return with_ceilings(bundle, [row_of(bundle, one, frames, EFFORT, here)[0] for one in wanted], here)


def rows_of(name: str, out: Path, here: Machine) -> list[dict[str, Any]]:
    """One backbone in every interpreter, or what stopped it."""
    try:
        with open_bundle(exported(name, out)) as bundle:
            return [{"backbone": name, **msgspec.to_builtins(row)} for row in timed_rows(bundle, here)]
    except EdgetlError as error:
        return [{"backbone": name, "error": str(error)}]


def explained(bundle: Bundle, row: dict[str, Any], here: Machine) -> list[dict[str, Any]]:
    """Where the time of a bundle's int8 TFLite file goes, by kind of operator."""
    record = bundle.model("tflite", "int8")
    assert record is not None
    times = profile(bundle.read(record.path), record.path, here.peaks[0], row["ceiling"]["copy_gb_s"])
    kinds: list[dict[str, Any]] = msgspec.to_builtins(by_kind(times))
    return kinds


def peaks(here: Machine, told: dict[str, Any]) -> Any:
    """The machine's peaks as far as they were looked at, or else those of an earlier go."""
    return msgspec.to_builtins(here.peaks) or told.get("peaks", [])


def worst(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in LiteRT that come least near to the roofline."""
    found = [row for row in rows if row.get("interpreter") == "litert" and row["roofline"] is not None]
    return sorted(found, key=lambda row: float(row["roofline"]))[:EXPLAINED]


def main() -> None:
    """Measures the named backbones, or all, and explains the worst."""
    out, names = Path(sys.argv[1]), sys.argv[2:] or list(BACKBONES)
    out.mkdir(parents=True, exist_ok=True)
    kept, here = KeptRows(out / "roofline.json", dict[str, Any], plan={"imgsz": IMGSZ}), Machine(0.2)
    draw(out / "data")
    for name in [name for name in names if name not in {row["backbone"] for row in kept.rows}]:
        with kept.timed() as rows:
            rows += rows_of(name, out, here)
            kept.told["peaks"] = peaks(here, kept.told)
        echo(json.dumps(kept.rows[-1]))
    with kept.timed():
        reasons = {}
        for row in worst(kept.rows):
            with open_bundle(exported(row["backbone"], out)) as bundle:
                here.look(None, 1)
                reasons[row["backbone"]] = explained(bundle, row, here)
        kept.told |= {"explained": reasons, "peaks": peaks(here, kept.told)}


if __name__ == "__main__":
    sys.exit(ended(main))
