"""What int8 keeps of a thousand classes: `python -m edgetl.benchmarks.imagenet_agreement OUT`.

MobileNetV2 with the public ImageNet weights in $EDGETL_DATA and their own classifier is exported as it stands on each rung, the
gate open. Judged are crops of photographs of which neither the export nor its calibration has seen anything: how often the
file's first class is float's, with a 95 % interval that takes crops for pictures of their own, and how the logits correlate.
OUT/imagenet_agreement.json and .md are written anew after each rung; a rung that is there already is not measured again.
EDGETL_RUNGS, a list with commas, limits the rungs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.benchmarks.commands_of import OPEN_GATE, data_root, run_edgetl
from edgetl.benchmarks.int8_ladder import RUNGS
from edgetl.benchmarks.kept_classifier import ANSWERS_NAME, write_run
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.photograph_crops import JUDGED, write_crops
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.metrics import Interval, wilson
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess

MODEL, WEIGHTS, CLASSES, IMGSZ = "mobilenet_v2", "weights/mobilenet_v2_100_imagenet.pth", 1000, 224
LIBRARIES = {"tflite": "litert", "onnx": "onnxruntime"}


def measure(run: Path, pictures: list[Path], rung: str) -> dict[str, Any]:
    """One rung: a row, or the reason why there is none."""
    bundle = run.with_name(f"{run.name}-{rung}.edgetl")
    try:
        _, cost = run_edgetl("export", run, "--out", bundle, "--rung", rung, "--budget", 60, "--min-score", 0,
                             "--no-float", *OPEN_GATE, log=bundle.with_suffix(".log"))  # fmt: skip
        with open_bundle(bundle) as opened:
            answers = {m.path: _answers(opened, m.path, m.format, pictures) for m in opened.manifest.models}
    except EdgetlError as error:
        return {"rung": rung, "error": str(error)}
    exact, sources = np.load(run / ANSWERS_NAME), [path.name.partition("-")[0] for path in pictures]
    files = {path: compared(exact, found, sources) for path, found in answers.items()}
    return {"rung": rung, "export_s": cost.seconds, "files": files}


def _answers(bundle: Bundle, path: str, format: str, pictures: list[Path]) -> NDArray[np.float32]:
    """A file's logits: pictures×classes."""
    opened, how = open_interpreter(LIBRARIES[format], bundle.read(path), path), bundle.manifest.preprocessing
    return np.stack([opened.logits(preprocess(read_picture(picture), how)) for picture in pictures])


def compared(exact: NDArray[np.float32], found: NDArray[np.float32], sources: list[str]) -> dict[str, Any]:
    """A file's logits beside float's (both pictures×classes): per cent of equal first classes of all pictures and of each
    source's, and the correlation of all logits."""
    same, of = exact.argmax(axis=1) == found.argmax(axis=1), np.array(sources)
    shares = {"all": _share(same), **{name: _share(same[of == name]) for name in sorted(set(sources))}}
    return {"same": shares, "correlation": round(float(np.corrcoef(exact.ravel(), found.ravel())[0, 1]), 5)}


def _share(same: NDArray[np.bool_]) -> dict[str, float]:
    interval = wilson(int(same.sum()), len(same)) or Interval(0.0, 1.0)
    percent = {"percent": same.mean(), "low": interval.low, "high": interval.high}
    return {"n": len(same), **{name: round(100 * float(value), 2) for name, value in percent.items()}}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| rung | file | same first class, % | 95 % interval | by source | correlation of logits | export s |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for row in sorted(rows, key=lambda row: RUNGS.index(row["rung"])):
        if "error" in row:
            lines.append(f"| {row['rung']} | {row['error']} | | | | | |")
        for path, found in row.get("files", {}).items():
            every, *sources = found["same"].items()
            by = ", ".join(f"{name} {share['percent']:.1f} of {share['n']}" for name, share in sources)
            lines.append(
                f"| {row['rung']} | {path} | {every[1]['percent']:.1f} | {every[1]['low']:.1f} to {every[1]['high']:.1f} | {by} "
                f"| {found['correlation']:.4f} | {row['export_s']:.0f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every rung."""
    out, root = Path(sys.argv[1]), data_root()
    kept = KeptRows(out / "imagenet_agreement.json", dict[str, Any], table)
    wanted, known = os.environ.get("EDGETL_RUNGS", ",".join(RUNGS)).split(","), {row["rung"] for row in kept.rows}
    out.mkdir(parents=True, exist_ok=True)
    pictures = write_crops(root, out / "pictures")
    run = write_run(MODEL, root / WEIGHTS, CLASSES, IMGSZ, pictures, out / "run")
    judged = sorted((pictures / JUDGED).iterdir())
    kept.told["pictures"] = len(judged)
    for rung in [rung for rung in wanted if rung not in known]:
        with kept.timed() as rows:
            rows.append(measure(run, judged, rung))
    print(json.dumps(kept.account()))


if __name__ == "__main__":
    sys.exit(ended(main))
