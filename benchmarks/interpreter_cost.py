"""What edgetl's interpreter class adds to LiteRT's bare invoke: `python -m edgetl.benchmarks.interpreter_cost OUT.json BUNDLE …`.

For each bundle's int8 TFLite file, loaded copies take turns, run by run: one is asked through edgetl's class for its raw output
(checks, setting the input from a uint8 picture, invoke, reading the output), one for logits (the same, in real numbers), one is
only invoked. Five times new copies, since where a copy happens to lie in memory makes it a little faster or slower; all turns together give the ratio and its 95 % interval. With one
thread all work is the calling thread's, so beside the time on the wall stands the processor time of that thread, from which
whatever else the machine does is missing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgetl.benchmarks.comparing import compare_interleaved
from edgetl.benchmarks.machine import machine
from edgetl.errors import ModelError
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.files import write_file
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.interpreters.tflite import MODULES, open_library

PAIRS, TURNS, WARM_UP = 5, 144, 20
CLOCKS = ("processor", "wall")


def measure(path: Path, pairs: int = PAIRS, turns: int = TURNS) -> dict[str, Any]:
    """One bundle: medians in milliseconds and the ratio of edgetl's to the bare one's, on the wall and of the processor."""
    with open_bundle(path) as bundle:
        record = bundle.model("tflite", "int8")
        if record is None:
            raise ModelError(f"{path}: holds no int8 TFLite file")
        model = bundle.read(record.path)
    series = (Turns(), Turns(), Turns())
    for _ in range(pairs):
        in_turns(_steps(model), turns, series)
    bare, raw, logits = series
    return {
        "bundle": path.name, "turns": len(bare.wall_ms),
        **{
            name: {clock: _compared(getattr(bare, f"{clock}_ms"), getattr(own, f"{clock}_ms")) for clock in CLOCKS}
            for name, own in (("raw", raw), ("logits", logits))
        },
    }  # fmt: skip


def _compared(bare: list[float], own: list[float]) -> dict[str, Any]:
    medians = {"bare_ms": round(float(np.median(bare)), 4), "edgetl_ms": round(float(np.median(own)), 4)}
    return {**medians, **msgspec.to_builtins(compare_interleaved(bare, own))}


def _steps(model: bytes) -> tuple[Callable[[], object], ...]:
    """The bare invoke, and edgetl's class for the raw output and for logits."""
    raw, logits = (open_interpreter("litert", model, "model/int8.tflite") for _ in range(2))
    library = open_library(MODULES["litert"], model, "model/int8.tflite", 1, "fast")
    image = np.random.default_rng(0).integers(0, 256, (raw.size, raw.size, 3), np.uint8)
    port = library.get_input_details()[0]
    library.set_tensor(port["index"], (image.astype(np.int16) - 128).astype(np.int8)[None])
    return library.invoke, lambda: raw.raw(image), lambda: logits.logits(image)


class Turns(msgspec.Struct):
    """Milliseconds of each turn, on the wall and of this thread's processor time."""

    wall_ms: list[float] = []
    processor_ms: list[float] = []


def in_turns(
    steps: Sequence[Callable[[], object]], turns: int, series: Sequence[Turns], warm_up: int = WARM_UP
) -> None:
    """The steps take turns, forwards and backwards by turns, and each adds to its series."""
    for number in range(warm_up + turns):
        places = range(len(steps)) if number % 2 else reversed(range(len(steps)))
        for place in places:
            start, busy = time.perf_counter(), time.thread_time()
            steps[place]()
            busy, end = time.thread_time() - busy, time.perf_counter()
            if number >= warm_up:
                series[place].wall_ms.append((end - start) * 1000)
                series[place].processor_ms.append(busy * 1000)


def main() -> None:
    """Measures every named bundle, writes OUT.json and prints the same."""
    result = {"machine": machine(), "bundles": [measure(Path(name)) for name in sys.argv[2:]]}
    write_file(Path(sys.argv[1]), json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
