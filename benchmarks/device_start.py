"""Start-up time and memory of a device install: `python -m edgetl.benchmarks.device_start BUNDLE`.

Makes a clean environment with edgetl[device] only, and lets `edgetl run` judge 300 frames of a 1280×720 video in it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from edgetl.benchmarks.overlap import write_video

ROUNDS = 5


def _help_seconds(python: Path) -> float:
    script = (
        "import subprocess, sys, time; t = time.perf_counter();"
        "subprocess.run([sys.executable, '-m', 'edgetl', '--help'], stdout=subprocess.DEVNULL, check=True);"
        "print(time.perf_counter() - t)"
    )
    return float(subprocess.run([str(python), "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout)


def _run(python: Path, bundle: Path, video: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), "-m", "edgetl", "run", str(bundle), "--source", str(video), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["summary"]
    return summary


def main() -> None:
    """Measures and prints one line of JSON: medians and all rounds."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"{root}[device]"], check=True)
        packages = next(Path(folder).glob("lib/python*/site-packages"))
        size = sum(f.stat().st_size for f in packages.rglob("*") if f.is_file()) / 1e6
        video = Path(folder) / "conveyor.mp4"
        write_video(video)
        runs = [_run(python, Path(sys.argv[1]).resolve(), video) for _ in range(ROUNDS)]
        helps = [_help_seconds(python) for _ in range(ROUNDS)]
    first, memory = [r["first_verdict_s"] for r in runs], [r["peak_memory_mb"] for r in runs]
    print(json.dumps({
        "install_mb": round(size, 1),
        "first_verdict_s": statistics.median(first), "first_verdict_s_all": first,
        "peak_memory_mb": statistics.median(memory), "peak_memory_mb_all": memory,
        "help_s": round(statistics.median(helps), 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
