"""Time and memory of one export with 200 calibration pictures: `python -m edgetl.benchmarks.export_cost OUT`.

Draws 2,500 small pictures, of which 200 calibrate, puts an untrained MobileNetV2 under a probe at 224 px, exports it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edgetl.benchmarks.commands_of import OPEN_GATE, run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.files import write_file
from edgetl.runtime.sim import write_dataset


def main() -> None:
    """Measures, prints one line of JSON and writes it to OUT/export_cost.json."""
    out = Path(sys.argv[1])
    write_dataset(out / "data", seed=0, pictures_per_class=500, width=120, height=90)
    run_edgetl("train", "--data", out / "data", "--model", "mobilenet_v2", "--weights", "none", "--recipe", "probe",
               "--imgsz", 224, "--out", out / "run")  # fmt: skip
    calibration = sum(s.get("calibrates", False) for s in json.loads((out / "run" / "splits.json").read_text()))
    _, cost = run_edgetl("export", out / "run", "--out", out / "part.edgetl", "--rung", "min-max", *OPEN_GATE)
    result = {
        "calibration_pictures": calibration,
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "machine": machine(),
    }
    write_file(out / "export_cost.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
