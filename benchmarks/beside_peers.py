"""The same video through three programs in turn: `python -m edgetl.benchmarks.beside_peers BUNDLE [VIDEO]`.

`edgetl run`; loops of fifteen lines of OpenCV with LiteRT and with onnxruntime, on the model files of the same bundle; and
Ultralytics' predict with its own int8 TFLite of a YOLOv8n classifier, which is a net of about the same size as a MobileNetV2
(1.4 and 2.2 million weights). Each is timed from outside, by when its lines come: from the start of the process to the first,
and between first and last. With --peer PYTHON an environment that has ultralytics and its LiteRT export already is used; else
one is made.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.overlap import write_video
from edgetl.benchmarks.peers.environments import ULTRALYTICS, python_with, quiet
from edgetl.benchmarks.peers.ultralytics import exported
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.manifest import ModelFormat

ROUNDS = 5

# What one writes on a first afternoon: read, resize, infer, print.
PLAIN_LOOP = """
import sys, cv2, numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1])
model.allocate_tensors()
taken, given = model.get_input_details()[0], model.get_output_details()[0]
size, video = taken["shape"][1], cv2.VideoCapture(sys.argv[2])
while True:
    good, frame = video.read()
    if not good:
        break
    image = cv2.cvtColor(cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    model.set_tensor(taken["index"], (image.astype(np.int16) - 128).astype(np.int8)[None])
    model.invoke()
    print(int(model.get_tensor(given["index"])[0].argmax()), flush=True)
"""
ONNX_LOOP = """
import sys, cv2, onnxruntime as ort
model = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
taken, video = model.get_inputs()[0], cv2.VideoCapture(sys.argv[2])
size = taken.shape[1]
while True:
    good, frame = video.read()
    if not good:
        break
    image = cv2.cvtColor(cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    print(int(model.run(None, {taken.name: image[None]})[0].argmax()), flush=True)
"""
PEER_LOOP = """
import sys
from ultralytics import YOLO
for result in YOLO(sys.argv[1], task="classify").predict(source=sys.argv[2], stream=True, imgsz=224, verbose=False):
    print(result.probs.top1, flush=True)
"""


class Run(msgspec.Struct, frozen=True):
    """One program on the video: results a second between the first and the last, seconds to the first, peak memory."""

    per_second: float
    first_s: float
    peak_mb: float
    results: int


def timed(words: list[str], folder: Path) -> Run:
    """Runs a program that prints a line a result, and watches it from outside."""
    start, times, peak = time.monotonic(), [], 0.0
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder, env=quiet()
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(('{"schema"', *"0123456789")):
                times.append(time.monotonic() - start)
                peak = max(peak, _peak_mb(child.pid) if len(times) % 10 == 0 else 0.0)
    if child.returncode != 0 or len(times) < 10:
        raise click.ClickException(f"{words[:4]} ended with {child.returncode} after {len(times)} results")
    return Run(round((len(times) - 1) / (times[-1] - times[0]), 2), round(times[0], 3), round(peak, 1), len(times))


def _peak_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def peer_model(python: Path, folder: Path) -> Path:
    """Ultralytics' own int8 export of an untrained classifier: how fast it is does not depend on what it knows."""
    from edgetl.runtime.sim import write_dataset

    splits = {"train": 0.5, "val": 0.5}
    write_dataset(folder / "parts", seed=1, pictures_per_class=8, width=320, height=240, splits=splits)
    return exported(python, folder / "parts", 224, folder / "export")[0]


def programs(bundle: Path, video: Path, peer: Path, folder: Path) -> dict[str, list[str]]:
    """The command line of each program."""
    models: dict[ModelFormat, Path] = {"tflite": folder / "int8.tflite", "onnx": folder / "int8.onnx"}
    with open_bundle(bundle) as opened:
        for kind, path in models.items():
            record = opened.model(kind)
            assert record is not None
            path.write_bytes(opened.read(record.path))
    return {
        "edgetl": [sys.executable, "-m", "edgetl", "run", str(bundle), "--source", str(video), "--json"],
        "plain loop": [sys.executable, "-c", PLAIN_LOOP, str(models["tflite"]), str(video)],
        "plain onnxruntime loop": [sys.executable, "-c", ONNX_LOOP, str(models["onnx"]), str(video)],
        "ultralytics": [str(peer), "-c", PEER_LOOP, str(peer_model(peer, folder)), str(video)],
    }


def compared(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Medians, and how many times better edgetl was in each round (medians of the rounds' ratios)."""
    report: dict[str, Any] = {
        name: {
            field: statistics.median(getattr(r, field) for r in rounds)
            for field in ("per_second", "first_s", "peak_mb")
        }
        for name, rounds in runs.items()
    }
    for peer in set(runs) - {"edgetl"}:
        pairs = list(zip(runs["edgetl"], runs[peer], strict=True))
        report[f"edgetl against {peer}"] = {
            "rate": _median(ours.per_second / theirs.per_second for ours, theirs in pairs),
            "start": _median(theirs.first_s / ours.first_s for ours, theirs in pairs),
            "memory": _median(theirs.peak_mb / ours.peak_mb for ours, theirs in pairs),
        }
    return report


def _median(ratios: Any) -> float:
    return round(float(statistics.median(ratios)), 2)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.argument("video", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--peer", type=click.Path(path_type=Path, exists=True), default=None, help="A Python with ultralytics.")
def main(bundle: Path, video: Path | None, peer: Path | None) -> None:
    """Interleaved rounds of all programs on one video (default: a drawn one of 1280×720), then one line of JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if video is None:
            video = folder / "conveyor.mp4"
            write_video(video)
        python = python_with(ULTRALYTICS, peer, folder / "peer")
        lines = programs(bundle.resolve(), video.resolve(), python, folder)
        runs: dict[str, list[Run]] = {program: [] for program in lines}
        for _ in range(ROUNDS):
            for program, words in lines.items():
                runs[program].append(timed(words, folder))
                click.echo(f"{program:<24} {runs[program][-1]}", err=True)
    print(json.dumps({**compared(runs), "machine": machine()}))


if __name__ == "__main__":
    sys.exit(ended(main))
