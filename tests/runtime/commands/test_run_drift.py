"""`edgetl run` with a `drift` section: a lamp that fades is told of on stderr."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from edgetl.runtime.manifest import REFERENCE_NAME
from edgetl.runtime.preprocess import preprocess
from edgetl.runtime.reference import figures_of
from edgetl.runtime.sources.sim import SimSource
from tests.conftest import edgetl
from tests.runtime import tiny

BELT = "sim:parts=150,parts_per_minute=900,fps=60,width=160,height=120"


def brightness_of_belt() -> float:
    frames = islice(SimSource.from_address(BELT).conveyor.frames(), 60, 100)
    return float(np.mean([figures_of(preprocess(f.image, tiny.HOW))["brightness"] for f in frames]))


def bundle_that_knows(path: Path, brightness: float) -> Path:
    """Its pictures were at most a fifth darker or brighter than that."""
    anything = {"mean": 1, "std": 1e6, "quantiles": [0, 1e6]}
    figures = dict.fromkeys(("contrast", "red", "green", "blue", "sharpness", "black", "white"), anything)
    spread = {"mean": brightness, "std": brightness / 10, "quantiles": [0.8 * brightness, 1.2 * brightness]}
    figures["brightness"] = spread
    reference = {"pictures": 99, "quantile_points": [0.01, 0.99], "figures": figures}
    return tiny.write(path, {**tiny.content(), REFERENCE_NAME: msgspec.json.encode(reference)})


def test_fading_lamp_is_told_of(tmp_path: Path) -> None:
    bundle = bundle_that_knows(tmp_path / "belt.edgetl", brightness_of_belt())
    config = tmp_path / "line.yaml"
    config.write_text("drift: {window_parts: 10, window_s: 1}\n")
    done = edgetl("run", bundle, "--config", config, "--source", f"{BELT},light_drift_per_minute=-4")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("edgetl: drift: ")]
    assert told and "brightness is " in told[-1] and "outside the" in told[-1]
    steady = edgetl("run", bundle, "--config", config, "--source", BELT)
    assert steady.returncode == 0 and "drift" not in steady.stderr


def test_unknown_key_of_the_section_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "line.yaml"
    config.write_text("source: x\ndrift:\n  windows: 3\n")
    done = edgetl("run", tiny_bundle, "--config", config, "--check")
    assert done.returncode == 2
    assert "line.yaml:3" in done.stderr and "windows" in done.stderr
