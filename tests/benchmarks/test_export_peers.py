"""An export beside others, at its smallest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.benchmarks.peers.asking import OPEN_GATE, found_by

# Not by importing it: TensorFlow, which comes with it, changes the process for all other tests.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("onnx2tf") is None, reason="needs edgetl[export]")


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is not None, reason="ultralytics is installed here")
def test_exports_of_one_net_agree_and_an_absent_peer_is_named(small_data: Path, tmp_path: Path) -> None:
    found = found_by("export_peers", tmp_path, "--data", small_data, "--model", "test_resnet", "--weights", "none", "--imgsz", 64,
                     "--", "--rung", "min-max", *OPEN_GATE)  # fmt: skip
    rows = found["rows"]
    assert rows["ultralytics export"] == {"absent": "ultralytics: not in the Python that --peer names"}
    ours, theirs = rows["edgetl export"]["median"], rows["onnx2tf -oiqt"]["median"]
    assert ours["float"] == theirs["float"] and ours["rung"] == "min-max"
    for row in (ours, theirs):
        assert row["seconds"] > 0 and row["peak_mb"] > 100 and 10_000 < row["file_bytes"] < 2_000_000
    assert found["pictures"]["calibration"] > 0 and found["pictures"]["test"] == 20
