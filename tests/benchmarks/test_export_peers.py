"""An export beside others, at its smallest."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.benchmarks.peers.asking import OPEN_GATE, found_by

PEERS = {"ultralytics export": ("ultralytics", "--peer"), "onnx2tf -oiqt": ("onnx2tf", "--onnx2tf")}


@pytest.mark.long
@pytest.mark.skipif(any(map(importlib.util.find_spec, ("ultralytics", "onnx2tf"))), reason="a peer is installed here")
def test_absent_peers_are_named_and_edgetl_is_measured_all_the_same(small_data: Path, tmp_path: Path) -> None:
    found = found_by("export_peers", tmp_path, "--data", small_data, "--model", "test_resnet", "--weights", "none", "--imgsz", 64,
                     "--onnx2tf", sys.executable, "--", "--rung", "min-max", *OPEN_GATE)  # fmt: skip
    rows = found["rows"]
    for row, (module, option) in PEERS.items():
        assert rows[row] == {"absent": f"{module}: not in the Python that {option} names"}
    ours = rows["edgetl export"]["median"]
    assert ours["rung"] == "min-max" and ours["float"] > 0
    assert ours["seconds"] > 0 and ours["peak_mb"] > 100 and 10_000 < ours["file_bytes"] < 2_000_000
    assert found["pictures"]["calibration"] > 0 and found["pictures"]["test"] == 20
