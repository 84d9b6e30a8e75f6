"""Transfer on real photographs: is the screw there?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.calling import call


@pytest.mark.slow
def test_probe_on_public_weights_tells_screws_from_holes(data_root: Path, tmp_path: Path) -> None:
    """280 pictures to learn from, and 120 of other photographs to be judged by."""
    data, run = data_root / "data/screws/crops", tmp_path / "run"
    weights = data_root / "weights/mobilenet_v2_100_imagenet.pth"
    trained = call(
        "train",
        "--data",
        data,
        "--model",
        "mobilenet_v2",
        "--weights",
        weights,
        "--recipe",
        "probe",
        "--ok",
        "screw",
        "--out",
        run,
    )
    assert trained.code == 0, trained.err
    judged = call("evaluate", run, "--data", data, "--json")
    assert judged.code == 0, judged.err
    found = json.loads(judged.out)
    assert found["n"] == 120
    assert found["balanced_accuracy"] >= 0.97, found["confusion"]
