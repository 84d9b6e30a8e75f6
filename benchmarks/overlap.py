"""How much of the possible rate `edgetl run` reaches on a video: `python -m edgetl.benchmarks.overlap BUNDLE [VIDEO]`.

Decoding alone, preprocessing alone, inference alone and the command itself take turns, so that a noisy machine hurts all
alike. The command runs as a user starts it, with all it does beside these three: the checks of trust, the decision, a JSON
line a verdict. Its rate is that of its loop, without the start of the process. It can be no higher than that of the slowest stage,
nor than the cores allow, which all stages together keep busy: so many a second as the processor time of one frame goes into theirs.
Without a video, a 1280×720 one is drawn first.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import choose
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sim import Conveyor, ConveyorSettings
from edgetl.runtime.sources.video import VideoFile
from edgetl.runtime.spare import cores, spare_cores

ROUNDS = 5
FRAMES = 600
STAGES = ("decode", "preprocess", "inference")


def write_video(path: Path, frames: int = 300) -> None:
    """Writes so many frames of the drawn conveyor at 1280×720."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (1280, 720))
    shots = Conveyor(ConveyorSettings(width=1280, height=720)).frames()
    for _ in range(frames):
        writer.write(next(shots).image)
    writer.release()


class Alone(NamedTuple):
    """A stage with nothing beside it: frames a second, and processor seconds a frame, of all its threads."""

    rate: float
    processor_s: float


def alone(step: Callable[[], object]) -> Alone:
    """A stage, taken FRAMES times or until it gives None."""
    start, worked, count = time.perf_counter(), time.process_time(), 0
    while count < FRAMES and step() is not None:
        count += 1
    return Alone(count / (time.perf_counter() - start), (time.process_time() - worked) / count)


def stages_alone(video: Path, frame: Image, inspector: Inspector) -> dict[str, Alone]:
    """Reading the video and doing nothing, making one frame the model's input, and inference on that."""
    source, image = VideoFile(video), inspector.prepare(frame)
    steps: tuple[Callable[[], object], ...] = (
        source.read, lambda: inspector.prepare(frame), lambda: inspector.interpreter.raw(image)
    )  # fmt: skip
    found = {name: alone(step) for name, step in zip(STAGES, steps, strict=True)}
    source.close()
    return found


def command_rate(bundle: Path, video: Path, inspector: Inspector) -> float:
    """Verdicts a second of `edgetl run`, with the interpreter and threads that were measured alone."""
    info = inspector.interpreter.info
    words = [
        sys.executable,
        "-m",
        "edgetl",
        "run",
        str(bundle),
        "--source",
        str(video),
        "--limit",
        str(FRAMES),
        "--json",
    ]
    words += ["--interpreter", info.name, "--threads", str(info.threads)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["summary"]
    return float(summary["judged"] / summary["seconds"])


def measure(bundle: Path, video: Path) -> dict[str, object]:
    """Median rates over the rounds, and the share of the slowest stage's rate that the command reached in each."""
    cv2.setNumThreads(spare_cores())  # as the command does for a file
    with open_bundle(bundle) as opened:
        interpreter, _ = choose(opened)
        inspector = Inspector.of(opened, interpreter)
    source = VideoFile(video)
    frame = source.read()
    source.close()
    assert frame is not None and frame.image is not None
    rounds = []
    for _ in range(ROUNDS):
        stages = stages_alone(video, frame.image, inspector)
        rates = {name: stage.rate for name, stage in stages.items()}
        rates["cores allow"] = cores() / sum(stage.processor_s for stage in stages.values())
        rounds.append({**rates, "run": command_rate(bundle, video, inspector)})
    shares = [r["run"] / min(r[stage] for stage in STAGES) for r in rounds]
    possible = [r["run"] / min(rate for name, rate in r.items() if name != "run") for r in rounds]
    return {
        "per_second": {name: round(statistics.median(r[name] for r in rounds), 1) for name in rounds[0]},
        "share_of_slowest_stage": round(statistics.median(shares), 3),
        "share_of_possible": round(statistics.median(possible), 3),
        "shares": [round(s, 3) for s in shares],
        "interpreter": interpreter.info.name,
        "threads": interpreter.info.threads,
        "machine": machine(),
    }


def main() -> None:
    """Measures and prints one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        video = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder) / "conveyor.mp4"
        if len(sys.argv) <= 2:
            write_video(video, FRAMES)
        print(json.dumps(measure(Path(sys.argv[1]), video)))


if __name__ == "__main__":
    sys.exit(ended(main))
