"""What the line adds to inference, with a camera as a user has one: `python -m edgetl.benchmarks.arrival BUNDLE`.

A camera on the network (a program of its own) sends JPEGs of 1280×720, 30 a second. They pass the camera's process, which
decodes them into shared memory, then the checks of trust, preprocessing, the threads, the decision and one JSON line. Of
each frame: from its last byte's arrival to its verdict, less its own inference; and the same without the decoding, from
when the frame is in the loop, as from a camera that sends plain pixels.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.mjpeg_camera import drawn_pictures
from edgetl.benchmarks.ports import free_port
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import Interpreter, choose
from edgetl.runtime.jpeg import decode_jpeg
from edgetl.runtime.line import Line, Sink
from edgetl.runtime.preprocess import Image
from edgetl.runtime.reference import read_reference
from edgetl.runtime.sinks import JsonLines
from edgetl.runtime.sources import Frame
from edgetl.runtime.status import percentiles
from edgetl.runtime.trust import Trust, TrustSettings
from edgetl.runtime.verdict import Verdict

FRAMES = 900
WARM_UP = 90
WIDTH, HEIGHT, FPS = 1280, 720, 30


class Watched(Camera):
    """A camera that notes when each of its frames came into the loop."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.came_s: dict[int, float] = {}

    def read(self) -> Frame | None:
        """The next frame."""
        frame = super().read()
        if frame is not None:
            self.came_s[frame.index] = time.monotonic()
        return frame


class Timed:
    """An interpreter that keeps how long its last inference took."""

    def __init__(self, inner: Interpreter) -> None:
        self._inner = inner
        self.info, self.size, self.raw = inner.info, inner.size, inner.raw
        self.last_ms = 0.0

    def logits(self, image: Image) -> Any:
        """As the interpreter inside."""
        start = time.perf_counter()
        logits = self._inner.logits(image)
        self.last_ms = (time.perf_counter() - start) * 1000
        return logits


class Overhead:
    """A sink that keeps what each verdict took beside its inference."""

    def __init__(self, model: Timed, camera: Watched) -> None:
        self._model = model
        self._camera = camera
        self.since_arrival_ms: list[float] = []
        self.since_decoded_ms: list[float] = []
        self.inference_ms: list[float] = []

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Looks at the clock once more, after the JSON line was written."""
        now_s, came_s = time.monotonic(), self._camera.came_s.pop(frame.index)
        if verdict is not None and frame.fault is None and frame.index >= WARM_UP:
            self.since_arrival_ms.append((now_s - frame.arrived_s) * 1000 - self._model.last_ms)
            self.since_decoded_ms.append((now_s - came_s) * 1000 - self._model.last_ms)
            self.inference_ms.append(self._model.last_ms)

    def close(self) -> None:
        """Nothing is held back."""


def decoding_ms() -> list[float]:
    """What decoding the camera's pictures takes by itself, into memory that is used again."""
    times, into = [], memoryview(bytearray(WIDTH * HEIGHT * 3))
    for data in drawn_pictures(WIDTH, HEIGHT) * 20:
        start = time.perf_counter()
        decode_jpeg(data, "frame", into)
        times.append((time.perf_counter() - start) * 1000)
    return times[len(times) // 10 :]


def measure(path: Path, address: str) -> dict[str, object]:
    """Percentiles of one run."""
    with open_bundle(path) as bundle:
        interpreter, _ = choose(bundle)
        model = Timed(interpreter)
        inspector = Inspector(model, bundle.manifest.preprocessing, bundle.manifest.rule)
        reference = read_reference(bundle)
    camera = Watched(address)
    overhead = Overhead(model, camera)
    trust = Trust(TrustSettings(), reference, camera)
    sinks: list[Sink] = [JsonLines(io.StringIO()), overhead]
    line = Line(camera, inspector, sinks, FRAMES, trust=trust.frame, quality=trust.inputs, keep_pictures=False)
    summary = line.run()
    return {
        "arrival_to_verdict_ms": percentiles(overhead.since_arrival_ms),
        "decoded_to_verdict_ms": percentiles(overhead.since_decoded_ms),
        "decoding_alone_ms": percentiles(decoding_ms()),
        "inference_ms": percentiles(overhead.inference_ms),
        "stages_ms": {name: figures["p90_ms"] for name, figures in summary.stages_ms.items()},
        "verdicts": summary.verdicts,
        "frames": len(overhead.inference_ms),
        "dropped": summary.dropped,
        "machine": machine(),
    }


def main() -> None:
    """Measures and prints one line of JSON."""
    port = free_port()
    words = [sys.executable, "-m", "edgetl.benchmarks.mjpeg_camera", str(port), str(FPS), f"{WIDTH}x{HEIGHT}", "drawn"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as camera:
        assert camera.stdout is not None
        camera.stdout.readline()
        try:
            print(json.dumps(measure(Path(sys.argv[1]), f"http://127.0.0.1:{port}/")))
        finally:
            camera.kill()


if __name__ == "__main__":
    sys.exit(ended(main))
