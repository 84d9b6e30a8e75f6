"""The way round by real commands, but for training: what a faded line keeps is pulled, labelled and merged, and the
next release inspects."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgetl.benchmarks.drift_loop import fetch_and_label, flash, inspect
from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.sim import Conveyor, ConveyorSettings
from edgetl.trainer.review.merge import LINEAGE, Lineage
from tests.conftest import edgetl
from tests.runtime import tiny
from tests.runtime.commands.test_run_drift import brightness_of_belt, bundle_that_knows

LINE = ConveyorSettings(seed=3, parts=100, parts_per_minute=900, fps=60, width=160, height=120, light=0.6)


@pytest.mark.slow
def test_what_a_faded_line_keeps_becomes_the_next_data_set_and_the_next_release_inspects(tmp_path: Path) -> None:
    device = tmp_path / "device"
    flash(bundle_that_knows(tmp_path / "one.edgetl", brightness_of_belt()), device)
    first = DeviceRoot(device).pointed()
    faded = inspect(device, tmp_path, LINE, collect=device / "collected", window_parts=10, pace="real")
    assert "brightness is " in faded.drift and "outside the" in faded.drift
    pulled, labelled = fetch_and_label(device, device / "collected", tmp_path / "kept", Conveyor(LINE))
    assert pulled == labelled > 20

    made = edgetl("sim-data", "--out", tmp_path / "parts", "--train", 4, "--test", 2)
    assert made.returncode == 0, made.stderr
    merged = edgetl("data", "merge", tmp_path / "parts", tmp_path / "kept", "--out", tmp_path / "parts-2")
    assert merged.returncode == 0, merged.stderr
    before, after = (len(list_pictures(tmp_path / name).pictures) for name in ("parts", "parts-2"))
    assert after == before + labelled
    lineage = msgspec.json.decode((tmp_path / "parts-2" / LINEAGE).read_bytes(), type=Lineage)
    truth = Conveyor(LINE)
    for added in lineage.versions[-1].added:
        assert added.origin.part is not None and added.label == truth.truth(added.origin.part)
    assert {"drift"} <= {reason for added in lineage.versions[-1].added for reason in added.origin.reasons}

    flash(tiny.write(tmp_path / "two.edgetl"), device)
    assert DeviceRoot(device).pointed() != first
    told = edgetl("device", "status", f"local:{device}", "--json")
    assert told.returncode == 0 and json.loads(told.stdout)["current"] == DeviceRoot(device).pointed()
    again = inspect(device, tmp_path, LINE)
    assert again.parts == LINE.parts and again.missed == 0
