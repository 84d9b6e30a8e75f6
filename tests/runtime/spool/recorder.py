"""A line's loop in miniature, in a process of its own that tests may kill, slow down or starve of disk.

`python -m tests.runtime.spool.recorder FOLDER COUNT [PAUSE_S]` appends results and prints a JSON line whenever what it
knows has changed: `durable`, the last number that is on disk for sure, and the spool's health.
"""

from __future__ import annotations

import json
import sys
import time

from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.spool import Spool


def main(folder: str, count: int, pause_s: float) -> None:
    spool = Spool(SpoolConfig(folder=folder), "press-3", ("plant",))
    print(json.dumps({"durable": 0}), flush=True)
    for number in (spool.next_sequence() for _ in range(count)):
        spool.append(number, "NG" if number % 10 == 0 else "OK", json.dumps({"sequence": number}).encode())
        if pause_s:
            time.sleep(pause_s)
            if spool.flush(0):
                print(json.dumps({"durable": number}), flush=True)
    health = spool.health()
    print(json.dumps({"given": number, "in_memory": health.in_memory, "ok": health.ok}), flush=True)
    stored = spool.flush(60)
    print(json.dumps({"stored": stored, "detail": spool.health().detail}), flush=True)
    spool.close(60)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
