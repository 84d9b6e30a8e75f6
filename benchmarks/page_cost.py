"""What the page costs the line: `python -m edgetl.benchmarks.page_cost BUNDLE`.

The same 1280×720 video is judged without a page, with one that nobody looks at, and with one that is looked at by a
browser-like viewer in a process of its own (every live picture, the status each second); the three take turns.
Processor time of the line's process is told beside the rate, since it means something on a busy machine too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.overlap import FRAMES, write_video
from edgetl.exits import ended
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.drift.observer import watched
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import choose
from edgetl.runtime.line import Line
from edgetl.runtime.page.settings import PageSettings
from edgetl.runtime.page.start import start_page
from edgetl.runtime.process_facts import peak_memory_mb
from edgetl.runtime.sources.video import VideoFile
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.summary import Summary

ROUNDS = 5
MODES = ("without", "unwatched", "watched")

# Of the lowest priority: on a line the browser runs on another machine.
_VIEWER = """
import os, sys, time, urllib.parse, urllib.request, json
os.nice(19)
address, after, asked, pictures = sys.argv[1], 0, 0.0, 0
while True:
    try:
        answer = urllib.request.urlopen(f"{address}live.jpg?width=960&quality=70&after={after}", timeout=20)
        after = json.loads(urllib.parse.unquote(answer.headers["X-Frame"]))["number"]
        answer.read()
        if time.monotonic() - asked > 1:
            asked = time.monotonic()
            urllib.request.urlopen(f"{address}api/status", timeout=20).read()
    except OSError:
        sys.exit(0)
    except TypeError:
        continue
"""


def round_of(mode: str, bundle: Path, video: Path) -> dict[str, float]:
    """Of one run: verdicts a second, 90th percentile of the latency, processor time for each verdict (all in ms)."""
    board = StatusBoard()
    with open_bundle(bundle) as opened:
        model, _ = choose(opened)
        if mode == "without":
            start = time.process_time()
            summary = Line(VideoFile(video), Inspector.of(opened, model), [], FRAMES).run()
            return figures(summary, time.process_time() - start)
        seen, observer = watched(opened, model, DriftSettings(), board)
        page = start_page(PageSettings(port=0), opened, model, board, observer=observer)
        inspector = Inspector.of(opened, seen)
    command = [sys.executable, "-c", _VIEWER, page.address]
    viewer = subprocess.Popen(command) if mode == "watched" else None
    start = time.process_time()
    summary = Line(VideoFile(video), inspector, [observer, page], FRAMES, board=board).run()
    spent = time.process_time() - start
    page.close()
    observer.close()
    if viewer is not None:
        viewer.kill()
        viewer.wait()
    return figures(summary, spent)


def figures(summary: Summary, cpu_s: float) -> dict[str, float]:
    """What is compared."""
    return {
        "per_second": summary.frames_per_second,
        "p90_ms": summary.latency_ms["p90_ms"],
        "cpu_ms": 1000 * cpu_s / summary.judged,
    }


def measure(bundle: Path, video: Path) -> dict[str, object]:
    """Median rates, and those with a page as a share of the one without in the same round."""
    rounds = [{mode: round_of(mode, bundle, video) for mode in MODES} for _ in range(ROUNDS)]
    report: dict[str, object] = {}
    for mode in MODES:
        rates = [r[mode]["per_second"] for r in rounds]
        shares = sorted(r[mode]["per_second"] / r["without"]["per_second"] for r in rounds)
        report[mode] = {
            "per_second": round(statistics.median(rates), 1),
            "p90_ms": round(statistics.median(r[mode]["p90_ms"] for r in rounds), 2),
            "cpu_ms": round(statistics.median(r[mode]["cpu_ms"] for r in rounds), 2),
            "cpu_share": round(statistics.median(r[mode]["cpu_ms"] / r["without"]["cpu_ms"] for r in rounds), 3),
            "share": round(statistics.median(shares), 3),
            "shares": [round(s, 3) for s in shares],
        }
    return {**report, "peak_memory_mb": round(peak_memory_mb(), 1), "machine": machine()}


def main() -> None:
    """Measures and prints one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "conveyor.mp4"
        write_video(video)
        print(json.dumps(measure(Path(sys.argv[1]), video)))


if __name__ == "__main__":
    sys.exit(ended(main))
