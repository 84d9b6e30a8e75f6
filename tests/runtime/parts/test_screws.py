"""Four screws in one real photograph: the whole way from the crops to a verdict with a reason for each picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT, edgetl


@pytest.fixture(scope="module")
def screw_bundle(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A probe on a small net at 96 px, trained on the crops: seconds, and good enough for screw or hole."""
    folder = tmp_path_factory.mktemp("screws")
    weights = data_root / "weights" / "mobilenet_v2_050_features.pth"
    done = edgetl("train", "--data", data_root / "data" / "screws" / "crops", "--model", "mobilenet_v2_050",
                  "--weights", weights, "--imgsz", 96, "--recipe", "probe", "--ok", "screw", "--out", folder / "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = edgetl("export", folder / "run", "--out", folder / "screw.edgetl", "--max-drop", 10)
    assert done.returncode == 0, done.stderr
    return folder / "screw.edgetl"


@pytest.mark.slow
def test_each_picture_gets_one_verdict_from_its_four_places(screw_bundle: Path, data_root: Path) -> None:
    config = ROOT / "docs" / "examples" / "screws.yaml"
    done = edgetl("run", screw_bundle, "--source", data_root / "data" / "screws" / "full", "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()][:-1]
    assert len(verdicts) == 100
    places = pictures = 0
    for verdict in verdicts:
        truth = ["screw" if digit == "1" else "hole" for digit in verdict["source"].partition("_")[2][:4]]
        said = [region["label"] for region in verdict["regions"]]
        places += sum(a == b for a, b in zip(truth, said, strict=True))
        pictures += verdict["verdict"] == ("OK" if set(truth) == {"screw"} else "NG")
        assert verdict["verdict"] != "OK" or set(said) == {"screw"}
        assert verdict["verdict"] != "NG" or "hole, expected screw" in verdict["reason"]
    assert places >= 392 and pictures >= 95, f"{places} of 400 places, {pictures} of 100 pictures are right"
