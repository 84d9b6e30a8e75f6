"""How much of the possible rate `edgetl run` reaches on a video: `python -m edgetl.benchmarks.overlap BUNDLE [VIDEO]`.

Decoding alone, inference alone and the whole loop take turns in one process, so that a noisy machine hurts all alike.
Without a video, a 1280×720 one is drawn first.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from edgetl.benchmarks.latency import machine
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import choose
from edgetl.runtime.line import Line
from edgetl.runtime.sim import Conveyor, ConveyorSettings
from edgetl.runtime.sources.video import VideoFile

ROUNDS = 5
FRAMES = 300


def write_video(path: Path) -> None:
    """Writes FRAMES frames of the drawn conveyor at 1280×720."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (1280, 720))
    frames = Conveyor(ConveyorSettings(width=1280, height=720)).frames()
    for _ in range(FRAMES):
        writer.write(next(frames).image)
    writer.release()


def decode_rate(video: Path) -> float:
    """Frames a second of reading the video and doing nothing."""
    source = VideoFile(video)
    start, count = time.perf_counter(), 0
    while count < FRAMES and source.read() is not None:
        count += 1
    source.close()
    return count / (time.perf_counter() - start)


def inference_rate(inspector: Inspector) -> float:
    """Inferences a second on one prepared picture, for as many as the video has frames."""
    size = inspector.interpreter.size
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    start = time.perf_counter()
    for _ in range(FRAMES):
        inspector.interpreter.raw(image)
    return FRAMES / (time.perf_counter() - start)


def run_rate(video: Path, inspector: Inspector) -> float:
    """Verdicts a second of the whole loop."""
    start = time.perf_counter()
    summary = Line(VideoFile(video), inspector, [], FRAMES).run()
    return summary.judged / (time.perf_counter() - start)


def measure(bundle: Path, video: Path) -> dict[str, object]:
    """Median rates over the rounds, and the share of the possible rate that the loop reached in each."""
    with open_bundle(bundle) as opened:
        interpreter, _ = choose(opened)
        inspector = Inspector.of(opened, interpreter)
    rounds = [
        {"decode": decode_rate(video), "inference": inference_rate(inspector), "run": run_rate(video, inspector)}
        for _ in range(ROUNDS)
    ]
    shares = [r["run"] / min(r["decode"], r["inference"]) for r in rounds]
    rates = {name: round(statistics.median(r[name] for r in rounds), 1) for name in rounds[0]}
    return {
        "per_second": rates,
        "share_of_possible": round(statistics.median(shares), 3),
        "shares": [round(s, 3) for s in shares],
        "interpreter": interpreter.info.name,
        "machine": machine(),
    }


def main() -> None:
    """Measures and prints one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        video = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder) / "conveyor.mp4"
        if len(sys.argv) <= 2:
            write_video(video)
        print(json.dumps(measure(Path(sys.argv[1]), video)))


if __name__ == "__main__":
    main()
