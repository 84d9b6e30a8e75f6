"""A rung that is running is ended where its time ends; each long loop looks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import ExportError
from edgetl.exporter import onnx_int8
from edgetl.exporter.deadline import NEVER, Deadline
from edgetl.exporter.ladder.rungs import rungs_of
from edgetl.exporter.options import Options
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.workbench import Workbench
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import read_run
from tests.exporter.graphs import written


class Clock:
    """A clock that a second passes on each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_it_ends_when_its_seconds_are_over() -> None:
    deadline = Deadline(2.5, Clock())
    deadline.check()
    deadline.check()
    with pytest.raises(ExportError, match="--budget was up"):
        deadline.check()
    assert deadline.left_s == 0.0
    NEVER.check()


@pytest.mark.parametrize("ranges", ["min-max", "mse"])
def test_onnx_quantization_stops_among_its_pictures(tmp_path: Path, ranges: str) -> None:
    written(tmp_path)
    clock = Clock()
    with pytest.raises(ExportError, match="--budget was up"):
        onnx_int8.quantize(tmp_path, Quantization(ranges=ranges), Deadline(10.5, clock))  # type: ignore[arg-type]
    assert clock.now < 20 < len(np.load(tmp_path / "calibration.npy"))
    assert not (tmp_path / "int8.onnx").exists()


# Ends at once the first time, and sleeps whenever it is called again.
SLEEPER = "import pathlib, time; p = pathlib.Path({!r}); time.sleep(60 if p.exists() else 0); p.touch()"


@pytest.mark.slow
def test_first_rung_has_its_time_and_a_later_one_is_ended_with_its_converter(small_run: Path, tmp_path: Path) -> None:
    run, rung, folder = read_run(small_run), rungs_of("min-max")[0], tmp_path / "work"
    folder.mkdir()
    options = Options(
        out=tmp_path / "a.edgetl", converter=(sys.executable, "-c", SLEEPER.format(str(tmp_path / "called")))
    )
    bench = Workbench(run, Path(run.settings.data), folder, options, SilentReporter())
    with pytest.raises(ExportError, match="it said nothing"):  # it wrote no file, and nothing ended it
        bench.attempt(rung, left_s=0.0)
    with pytest.raises(ExportError, match="--budget was up"):
        bench.attempt(rung, left_s=0.0)
    with pytest.raises(ExportError, match=r"did not end within \d\.\d+ s|--budget was up"):
        bench.attempt(rung, left_s=3.0)
