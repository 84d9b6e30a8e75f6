"""Learning from good parts beside others, at its smallest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.benchmarks.peers.asking import OPEN_GATE, found_by, random_weights
from tests.good_parts import write


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("anomalib") is not None, reason="anomalib is installed here")
def test_scores_are_those_of_the_file_that_ships_and_an_absent_peer_is_named(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train" / "fine", 30, 0)
    write(tmp_path / "data" / "train" / "scratch", 5, 100, scratched=True)  # of which nobody may learn
    write(tmp_path / "data" / "test" / "fine", 10, 200)
    write(tmp_path / "data" / "test" / "scratch", 10, 300, scratched=True)
    found = found_by("one_class_peers", tmp_path / "out", "--data", tmp_path / "data", "--good", "fine", "--weights",
                     random_weights(tmp_path / "w.pth"), "--imgsz", 64, "--", "--rung", "roomy", *OPEN_GATE)  # fmt: skip
    for name in ("anomalib PaDiM", "anomalib PatchCore"):
        assert found["rows"][name] == {"absent": "anomalib: not in the Python that --peer names"}
    told = found["rows"]["edgetl"]["median"]
    assert found["pictures"] == {"train": 30, "test": 20} and told["rung"] == "roomy"
    assert 0 <= told["auroc"] <= 1 and abs(told["auroc"] - told["auroc_float"]) < 0.2
    assert told["ms"] > 0 and told["train_s"] > 0 and told["export_s"] > 0 and told["artifact_bytes"] > 1e6
