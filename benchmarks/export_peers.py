"""An int8 export beside those of others: `python -m edgetl.benchmarks.export_peers OUT [--peer PYTHON] [--onnx2tf PYTHON] [-- FLAGS …]`.

In turns: `edgetl export` of a MobileNetV2 under a probe, with FLAGS of its own; `onnx2tf -oiqt`, as one types it, on the ONNX
that edgetl made of that net, calibrated by the same pictures; Ultralytics' `export format=tflite int8=True` of a YOLOv8n
classifier, by the same pictures too. That one has random weights, since its own lie on a hub, so it is asked how long and how
large, not how well. edgetl's time has in it what the others leave to the user: two model files, float and int8 judged on val
and test, further rungs where int8 loses too much, and a golden set. With --peer PYTHON an environment that has ultralytics
already is used, with --onnx2tf PYTHON one that has onnx2tf; else they are made in OUT.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import numpy as np

from edgetl.benchmarks.commands_of import data_root, run_edgetl, watched
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.peers.environments import ONNX2TF, ULTRALYTICS, python_with, quiet, versions
from edgetl.benchmarks.peers.folders import in_folders
from edgetl.benchmarks.peers.plain_tflite import plain_logits
from edgetl.benchmarks.peers.rounds import Figures, in_rounds
from edgetl.benchmarks.peers.ultralytics import exported
from edgetl.benchmarks.real_pictures import SETS, WEIGHTS
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.evaluation import evaluate, pictures_of_split
from edgetl.runtime.files import write_file

FLOAT = "float32 (torch)"
# onnx2tf looks for this file in its working directory and downloads it where it is missing, though it has no use for it here.
SAMPLE = "calibration_image_sample_data_20x128x128x3_float32.npy"


class Export(msgspec.Struct, frozen=True):
    """What is to be exported, and where the files go."""

    out: Path
    data: Path
    imgsz: int
    flags: tuple[str, ...] = ()

    @property
    def run(self) -> Path:
        """The trained run."""
        return self.out / "run"

    @property
    def bundle(self) -> Path:
        """What edgetl makes of the run."""
        return self.out / "part.edgetl"

    @property
    def kept(self) -> Path:
        """The float graph and the calibration pictures that edgetl leaves behind."""
        return self.out / "kept"


def by_edgetl(export: Export) -> Figures:
    """`edgetl export`, with what it says of its own files."""
    told, cost = run_edgetl("export", export.run, "--data", export.data, "--out", export.bundle, "--keep", export.kept,
                            *export.flags)  # fmt: skip
    on_test = {row["model"]: row["balanced_accuracy"] for row in told["measured"] if row["split"] == "test"}
    with open_bundle(export.bundle) as opened:
        shipped = opened.model("tflite")
        assert shipped is not None
        size = opened.manifest.files[shipped.path].bytes
    return {"seconds": cost.seconds, "peak_mb": cost.peak_mb, "file_bytes": size, "float": _percent(on_test[FLOAT]),
            "int8": _percent(on_test[shipped.path]), "rung": told["rung"]}  # fmt: skip


def by_onnx2tf(peer: Callable[[], Path], export: Export) -> Figures:
    """The plain command on the same graph; its files are judged by the pictures that edgetl's are judged by."""
    python = peer()
    command = python.with_name("onnx2tf")
    folder = export.out / "onnx2tf"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(export.kept / "as-trained" / "model.onnx", folder)
    np.save(folder / "pixels.npy", np.load(export.kept / "calibration.npy").astype(np.float32) / 255)
    np.save(folder / SAMPLE, np.zeros((20, 128, 128, 3), np.float32))
    # It takes values from 0 to 1 and gives the net (value - mean) / std, which are pixels again.
    words = [str(command), "-i", "model.onnx", "-o", "made", "-oiqt", "-cind", "pixels", "pixels.npy", "[[[[0,0,0]]]]",
             f"[[[[{1 / 255},{1 / 255},{1 / 255}]]]]"]  # fmt: skip
    activated = {**quiet(), "PATH": f"{command.parent}:{os.environ['PATH']}"}
    said, code, cost = watched(words, cwd=folder, environment=activated, log=folder / "log.txt")
    write_file(folder / "said.txt", said)
    if code != 0:
        raise EdgetlError(f"onnx2tf ended with exit code {code}")
    made = {
        "float": folder / "made" / "model_float32.tflite",
        "int8": folder / "made" / "model_full_integer_quant.tflite",
    }
    accuracies = {name: on_test(path, export) for name, path in made.items()}
    return {
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "file_bytes": made["int8"].stat().st_size,
        **accuracies,
        "versions": versions(python, "onnx2tf", "tensorflow"),
    }


def on_test(model: Path, export: Export) -> float:
    """Balanced accuracy of a TFLite file of the run's net on the test pictures, in per cent, through edgetl's preprocessing."""
    with open_bundle(export.bundle) as opened:
        how, rule = opened.manifest.preprocessing, opened.manifest.rule
    recorded = {sample["sha256"]: sample["split"] for sample in json.loads((export.run / "splits.json").read_text())}
    pictures = pictures_of_split(export.data, "test", recorded).pictures
    found = evaluate(export.data, pictures, plain_logits(model), how, rule, model=model.name, split="test")
    return _percent(found.metrics.balanced_accuracy)


def by_ultralytics(peer: Callable[[], Path], export: Export) -> Figures:
    """Ultralytics' export of its own net. Its validation folder is what it calibrates with."""
    python = peer()
    folder = export.out / "ultralytics"
    shutil.rmtree(folder, ignore_errors=True)
    data = in_folders(
        export.run, export.data, export.out / "pictures", {"train": "train", "calibration": "val", "test": "test"}
    )
    path, cost = exported(python, data, export.imgsz, folder)
    return {"seconds": cost.seconds, "peak_mb": cost.peak_mb, "file_bytes": path.stat().st_size,
            "versions": versions(python, "ultralytics", "torch")}  # fmt: skip


def _percent(share: float) -> float:
    return round(100 * share, 2)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.option("--peer", type=click.Path(path_type=Path, exists=True), default=None, help="A Python with ultralytics.")
@click.option("--onnx2tf", type=click.Path(path_type=Path, exists=True), default=None, help="A Python with onnx2tf.")
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True), default=None, help="Default: TrashNet in $EDGETL_DATA."
)
@click.option("--model", default="mobilenet_v2", show_default=True)
@click.option("--weights", default=None, help="Default: those of MobileNetV2 in $EDGETL_DATA.")
@click.option("--imgsz", default=224, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(
    out: Path, flags: tuple[str, ...], peer: Path | None, onnx2tf: Path | None, data: Path | None, model: str, weights: str | None,
    imgsz: int, rounds: int,
) -> None:  # fmt: skip
    """Interleaved rounds of all exports, then one line of JSON, also written to OUT/export_peers.json."""
    out, data = out.resolve(), (data or data_root() / SETS["trashnet"]).resolve()
    export = Export(out / "export", data, imgsz, flags)
    shutil.rmtree(export.run, ignore_errors=True)
    run_edgetl("train", "--data", data, "--model", model, "--weights", weights or data_root() / WEIGHTS, "--recipe", "probe",
               "--imgsz", imgsz, "--out", export.run)  # fmt: skip
    rows = in_rounds(rounds, {
        "edgetl export": lambda _: by_edgetl(export),
        "onnx2tf -oiqt": lambda _: by_onnx2tf(
            lambda: python_with(ONNX2TF, onnx2tf, out / "onnx2tf-python", "--onnx2tf"), export
        ),
        "ultralytics export": lambda _: by_ultralytics(lambda: python_with(ULTRALYTICS, peer, out / "ultralytics-python"), export),
    })  # fmt: skip
    pictures = json.loads((export.run / "splits.json").read_text())
    counts = {
        "calibration": sum(p.get("calibrates", False) for p in pictures),
        "test": sum(p["split"] == "test" for p in pictures),
    }
    result = {
        "rows": rows,
        "pictures": counts,
        "classes": len({p["label"] for p in pictures}),
        "model": model,
        "imgsz": imgsz,
        "flags": flags,
        "machine": machine(),
    }
    write_file(out / "export_peers.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
