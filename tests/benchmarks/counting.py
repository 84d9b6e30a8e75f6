"""A measurement that takes long: `python -m tests.benchmarks.counting ROWS.json` adds a row every tenth of a second, forty in all,
and goes on from those that are there."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from edgetl.runtime.files import write_file

if __name__ == "__main__":
    path = Path(sys.argv[1])
    rows = json.loads(path.read_text())["rows"] if path.exists() else ["first"]
    while len(rows) < 40:
        write_file(path, json.dumps({"rows": rows, "seconds": 0.1 * len(rows)}))
        time.sleep(0.1)
        rows.append(f"row {len(rows)}")
