"""The comparison with other programs: its loops run, its clock sees what a program did, its ratios have the right side up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgetl.benchmarks.beside_peers import ONNX_LOOP, PLAIN_LOOP, Run, compared, timed
from tests.runtime import tiny, videos

FRAMES = 20


def test_ratios_say_how_many_times_better_edgetl_is() -> None:
    ours = [Run(200.0, 0.5, 100.0, 300), Run(100.0, 0.4, 100.0, 300), Run(150.0, 0.5, 100.0, 300)]
    theirs = [Run(40.0, 5.0, 700.0, 300), Run(20.0, 4.0, 600.0, 300), Run(50.0, 5.0, 500.0, 300)]
    report = compared({"edgetl": ours, "other": theirs})
    assert report["edgetl against other"] == {"rate": 5.0, "start": 10.0, "memory": 6.0}
    assert report["other"] == {"per_second": 40.0, "first_s": 5.0, "peak_mb": 600.0}


def test_program_is_timed_by_its_lines(tmp_path: Path) -> None:
    """It holds 80 MB, says something else first, and pauses a fiftieth of a second before each result."""
    program = (
        "import time\nheld = bytearray(80_000_000)\nprint('hello', flush=True)\ntime.sleep(0.3)\n"
        "for n in range(20):\n    print(n, flush=True)\n    time.sleep(0.02)\n"
    )
    run = timed([sys.executable, "-c", program], tmp_path)
    assert run.results == 20 and run.first_s >= 0.3 and run.peak_mb > 80
    assert 0 < run.per_second < 100, "50 at most, but for a first line that was seen late"


@pytest.mark.parametrize("program", ["print(1)", "import sys\nfor n in range(99): print(n)\nsys.exit(3)"])
def test_program_that_fails_or_says_too_little_gives_no_figure(program: str, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException):
        timed([sys.executable, "-c", program], tmp_path)


@pytest.mark.parametrize(("loop", "name"), [(PLAIN_LOOP, "m.tflite"), (ONNX_LOOP, "m.onnx")])
def test_plain_loops_judge_every_frame_rightly(loop: str, name: str, tmp_path: Path) -> None:
    """Plain red, green and blue in turn: every loop that shows a model what it should sees them so."""
    model = tmp_path / name
    model.write_bytes(tiny.tflite() if name.endswith("tflite") else tiny.onnx())
    video = videos.write(tmp_path / "v.avi", FRAMES)
    done = subprocess.run([sys.executable, "-c", loop, str(model), str(video)], stdout=subprocess.PIPE, check=True)
    assert [int(line) for line in done.stdout.split()] == [n % 3 for n in range(FRAMES)]
