"""How much faster int8 is than float in LiteRT here: `python -m edgetl.benchmarks.int8_speed OUT [BUNDLE]`.

Without a bundle, a MobileNetV2 at 224 px under a head on drawn pictures is exported first, on plain min-max int8: how fast a
file is does not depend on what it knows. Both files of the bundle are timed in turn with each number of threads.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from edgetl.benchmarks.commands_of import OPEN_GATE, run_edgetl
from edgetl.benchmarks.interleaved import int8_against_float
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.sweep import thread_counts
from edgetl.exits import ended
from edgetl.runtime.files import write_file


def made(out: Path) -> Path:
    """A bundle of a MobileNetV2 at 224 px; made once."""
    bundle = out / "speed.edgetl"
    if not bundle.is_file():
        run_edgetl("sim-data", "--out", out / "data", "--train", 20, "--test", 4)
        run_edgetl("train", "--data", out / "data", "--model", "mobilenet_v2", "--weights", "none", "--recipe", "probe",
                   "--imgsz", 224, "--out", out / "run")  # fmt: skip
        run_edgetl("export", out / "run", "--out", bundle, "--rung", "min-max", *OPEN_GATE)
    return bundle


def main() -> None:
    """Times a bundle, or makes one to time."""
    out = Path(sys.argv[1])
    bundle = Path(sys.argv[2]) if len(sys.argv) > 2 else made(out)
    rows = {str(n): msgspec.to_builtins(int8_against_float(bundle, n)) for n in thread_counts()}
    result = {"machine": machine(), "bundle": bundle.name, "litert, by threads": rows}
    write_file(out / "int8_speed.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
