"""Trainers that are given as long as edgetl took, at their smallest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.benchmarks.peers.asking import found_by, random_weights

SECONDS = 8.0


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is not None, reason="ultralytics is installed here")
def test_loops_end_with_their_time_and_an_absent_peer_is_named(small_data: Path, tmp_path: Path) -> None:
    weights = random_weights(tmp_path / "w.pth")
    found = found_by("training_peers", tmp_path / "out", "--data", small_data, "--weights", weights, "--imgsz", 32, "--batch", 8,
                     "--seconds", SECONDS, "--", "--recipe", "probe")  # fmt: skip
    rows = found["rows"]
    assert rows["ultralytics, from nothing"] == {"absent": "ultralytics: not in the Python that --peer names"}
    assert rows["edgetl"]["median"]["recipe"] == "probe"
    for name in ("timm", "torchvision"):
        told = rows[name]["median"]
        assert (
            told["epochs"] >= 1 and SECONDS <= told["seconds"] < SECONDS + 60
        )  # a busy machine starts and judges slowly
        assert 0 <= told["balanced_accuracy"] <= 100
