"""The emulated arm64 device gives what the golden set says, as a real one must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulation.chroot import ChrootDevice
from tests.emulation.fixtures import on_device
from tests.emulation.verdicts import compare

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(1200)]  # the first run builds the device


def test_it_is_an_arm64_with_every_interpreter(arm64: ChrootDevice) -> None:
    done = arm64.python(
        "import platform, cv2, ai_edge_litert.interpreter, onnxruntime, edgetl; print(platform.machine())"
    )
    assert done.stdout == "aarch64\n", done.stderr


def test_a_bundle_made_here_passes_its_golden_set_there(
    arm64: ChrootDevice, small_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = arm64.edgetl("verify", on_device(small_bundle, tmp_path_factory), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["changed_inputs"] == []
    exact = [r for r in result["replays"] if r["kernels"] == "reference" and r["interpreter"] == "litert"]
    assert exact and all(r["exact"] == r["pictures"] for r in exact)


@pytest.mark.fault("M9")
def test_its_answers_are_set_beside_those_of_this_machine(
    arm64: ChrootDevice, small_run: Path, small_bundle: Path, tmp_path: Path
) -> None:
    found = compare(small_run, small_bundle, arm64, tmp_path)
    asked = {(pair.asked, pair.interpreter, pair.kernels) for pair in found}
    assert {
        ("golden set", "litert", "reference"),
        ("golden set", "litert", "fast"),
        ("test split", "litert", "fast"),
    } <= asked
    for pair in found:
        if pair.interpreter == "litert" and pair.kernels == "reference":
            assert (pair.equal, pair.logit_max, pair.flips) == (pair.outputs, 0.0, 0)
        if pair.asked == "golden set" and pair.kernels == "fast":
            assert pair.flips == 0, pair
