"""Start-up time and memory of a device install: `python -m edgetl.benchmarks.device_start BUNDLE`.

Makes a clean environment with edgetl[device] only, and lets `edgetl run` judge 300 frames of a 1280×720 video in it; then as
many of a network camera of that size. A camera has a process of its own: memory of both is counted, what they share once.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import process_tree
from edgetl.benchmarks.overlap import write_video
from edgetl.benchmarks.ports import free_port
from edgetl.exits import ended

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


def _with_camera_mb(python: Path, bundle: Path) -> dict[str, float]:
    """The most memory of a line with a camera: of its own process, as it tells, and of both, shared pages once."""
    port = str(free_port())
    words = [sys.executable, "-m", "edgetl.benchmarks.mjpeg_camera", port, "30", "1280x720", "drawn"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as camera:
        assert camera.stdout is not None
        camera.stdout.readline()
        words = [str(python), "-m", "edgetl", "run", str(bundle), "--source", f"http://127.0.0.1:{port}/"]
        words += ["--limit", "300", "--json"]
        with tempfile.TemporaryFile("w+") as out:
            line, both = subprocess.Popen(words, stdout=out, stderr=subprocess.DEVNULL), 0.0
            while line.poll() is None:
                both = max(both, sum(map(_proportional_mb, process_tree(line.pid))))
                time.sleep(0.1)
            out.seek(0)
            summary = json.loads(out.read().splitlines()[-1])["summary"]
        camera.kill()
    return {"own_mb": summary["peak_memory_mb"], "with_the_camera_s_process_mb": round(both, 1)}


def _proportional_mb(pid: int) -> float:
    """What a process holds in 10^6 bytes; pages that it shares with others count in proportion."""
    try:
        found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found else 0.0


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
        with_camera = _with_camera_mb(python, Path(sys.argv[1]).resolve())
        helps = [_help_seconds(python) for _ in range(ROUNDS)]
    first, memory = [r["first_verdict_s"] for r in runs], [r["peak_memory_mb"] for r in runs]
    print(json.dumps({
        "install_mb": round(size, 1),
        "first_verdict_s": statistics.median(first), "first_verdict_s_all": first,
        "peak_memory_mb": statistics.median(memory), "peak_memory_mb_all": memory,
        "camera": with_camera,
        "help_s": round(statistics.median(helps), 3),
    }))  # fmt: skip


if __name__ == "__main__":
    sys.exit(ended(main))
