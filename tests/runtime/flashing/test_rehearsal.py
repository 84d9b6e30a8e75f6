"""Whatever a new model does when it is first loaded, the device's side lives, says why, and nothing was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetl.errors import BundleHashError, EdgetlError, HealthError, ModelError, SourceError
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.records import Refused
from edgetl.runtime.manifest import GOLDEN_NAME
from tests.runtime import tiny
from tests.runtime.flashing.world import (
    OWNER,
    ShownService,
    StillClock,
    announce,
    bring,
    configure,
    flashing,
    install,
    tiny_release,
)


@pytest.fixture
def running(root: DeviceRoot, clock: StillClock) -> DeviceRoot:
    """A device that runs something already."""
    install(root, "a", clock)
    root.point_to("a")
    return root


def with_model(path: Path, model: bytes) -> Path:
    """A release around another model, which its manifest vouches for."""
    return tiny.rewritten(tiny_release(path), path, lambda name, data: model if name == "model/int8.tflite" else data)


def refused(root: DeviceRoot, clock: StillClock, path: Path, kind: type[EdgetlError], *, look: bool = True) -> str:
    """Flashes a release up to its rehearsal, which must refuse it and leave the device as it was."""
    before = (root.pointed(), root.bundle("a").read_bytes(), root.bundle("b").exists())
    bring(root, clock, path)
    with flashing(root, clock) as flash, pytest.raises(kind) as caught:
        flash.rehearse(announce(path).sha256, look=look)
    assert (root.pointed(), root.bundle("a").read_bytes(), root.bundle("b").exists()) == before
    assert list(root.staging.iterdir()) == []
    last = Journal(root.journal).entries()[-1]
    assert isinstance(last, Refused) and last.reason == str(caught.value) and last.code == caught.value.code
    with flashing(root, clock, "200@lab") as flash:  # the device is free again
        assert flash.begin(announce(path), OWNER).running is False
        flash.leave()
    return str(caught.value)


def test_good_release_gives_its_golden_answers_in_time(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    path = tiny_release(tmp_path / "good.edgetl", number=2)
    configure(running, "camera: 'sim:pace=fast'\n")
    bring(running, clock, path)
    with flashing(running, clock) as flash:
        found = flash.rehearse(announce(path).sha256)
    assert {(r.interpreter, r.kernels, r.passed) for r in found.replays} >= {
        ("litert", "reference", True),
        ("litert", "fast", True),
    }
    assert 0 < found.latency_ms["p50_ms"] <= found.latency_ms["p90_ms"]
    assert found.camera is not None and found.camera.startswith("sim:: ") and not found.camera_failed
    assert Journal(running.journal).history().rehearsed


@pytest.mark.fault("F8", "M1")
def test_model_that_crashes_the_interpreter(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    said = refused(running, clock, with_model(tmp_path / "x.edgetl", tiny.crashing()), HealthError)
    assert said == "plain: the child that loaded the new model crashed: SIGSEGV"


@pytest.mark.fault("M1")
@pytest.mark.parametrize(
    "model", [b"", b"\x1c\0\0\0TFL3", bytes(range(256)) * 40, tiny.tflite()[:300]], ids=["empty", "8-bytes", "random", "header"]
)  # fmt: skip
def test_file_that_is_no_model(running: DeviceRoot, clock: StillClock, tmp_path: Path, model: bytes) -> None:
    said = refused(running, clock, with_model(tmp_path / "x.edgetl", model), EdgetlError)
    assert "model/int8.tflite" in said or "crashed: SIG" in said


@pytest.mark.fault("F9")
def test_model_that_hangs_in_its_first_inference(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    configure(running, rehearsal_s=8)
    said = refused(running, clock, with_model(tmp_path / "x.edgetl", tiny.hanging()), HealthError)
    assert said == "plain: the child that loaded the new model gave no answer within 8 s and was killed"


@pytest.mark.fault("F10")
def test_model_that_answers_otherwise_has_every_difference_listed(
    running: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    def swapped(name: str, data: bytes) -> bytes:
        if name != GOLDEN_NAME:
            return data
        golden: Any = msgspec.json.decode(data)
        for number, picture in enumerate(golden["pictures"]):
            expected = picture["models"]["model/int8.tflite"]
            if number < 2:
                expected["label"], expected["verdict"] = "blue", "NG"
        return msgspec.json.encode(golden)

    path = tiny.rewritten(tiny_release(tmp_path / "x.edgetl"), tmp_path / "y.edgetl", swapped)
    configure(running, "interpreter: litert\n")
    said = refused(running, clock, path, HealthError)
    assert "golden/000.png: NG blue is now NG red; golden/001.png: NG blue is now OK green" in said


@pytest.mark.fault("F11")
def test_model_slower_than_the_budget_has_its_times_reported(
    running: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    configure(running, "budget: {latency_ms: 0.001}\ninterpreter: litert\nthreads: 1\n")
    said = refused(running, clock, tiny_release(tmp_path / "x.edgetl"), HealthError)
    assert "too slow: " in said and "ms at p90 (p50 " in said
    assert said.endswith("with 1 threads of litert, the budget is 0.001 ms")


def test_model_that_needs_more_memory_than_allowed(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    """The child itself takes less than 300 MB."""
    path = with_model(tmp_path / "x.edgetl", tiny.hungry(400))
    configure(running, "interpreter: litert\nthreads: 1\n", rehearsal_memory_mb=500)
    said = refused(running, clock, path, HealthError)
    assert said == (
        "plain: the child that loaded the new model ended with exit code 1, perhaps for want of memory (limit 500 MB)"
    )
    configure(running, "interpreter: litert\nthreads: 1\n", rehearsal_memory_mb=1500)
    bring(running, clock, path)
    with flashing(running, clock) as flash:
        assert all(replay.passed for replay in flash.rehearse(announce(path).sha256).replays)


def test_camera_that_is_missing_is_named(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    configure(running, "camera: /dev/video77\n")
    path = tiny_release(tmp_path / "x.edgetl")
    said = refused(running, clock, path, SourceError)
    assert "/dev/video77" in said and "--no-camera" in said
    bring(running, clock, path)
    with flashing(running, clock) as flash:
        assert flash.rehearse(announce(path).sha256, look=False).camera is None


def test_camera_is_the_one_of_the_line(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    """The device's settings name the camera that such boards have; the line's file names the one that is used."""
    configure(running, "camera: /dev/video77\n")
    running.line.write_text("source: 'sim:pace=fast'\n")
    path = tiny_release(tmp_path / "x.edgetl")
    bring(running, clock, path)
    with flashing(running, clock) as flash:
        seen = flash.rehearse(announce(path).sha256).camera
    assert seen is not None and seen.startswith("sim:: ")
    configure(running, "camera: 'sim:pace=fast'\n")
    running.line.write_text("source: /dev/video78\n")
    assert "/dev/video78" in refused(running, clock, path, SourceError)
    running.line.write_text("name: hall\n")  # it leaves the camera to the device's settings
    bring(running, clock, path)
    with flashing(running, clock) as flash:
        assert not flash.rehearse(announce(path).sha256).camera_failed


def test_camera_of_a_service_is_left_to_it(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    configure(running, "camera: /dev/video77\n")
    ShownService(running, clock)
    clock.sleep(2.0)
    path = tiny_release(tmp_path / "x.edgetl")
    bring(running, clock, path)
    with flashing(running, clock) as flash:
        found = flash.rehearse(announce(path).sha256)
    assert (found.camera, found.camera_failed) == ("the service: 60 frames, the last one 0.0 s ago", False)


@pytest.mark.fault("M3")
def test_model_with_another_number_of_outputs_than_labels(
    running: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    """As a mix of two releases would have, were its hashes made to fit."""
    model = tiny.tflite(shape=(1, tiny.SIZE, tiny.SIZE, 4))
    said = refused(running, clock, with_model(tmp_path / "x.edgetl", model), ModelError)
    assert "1×32×32×4" in said


def test_file_that_changes_on_the_device_is_not_rehearsed(
    running: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    path = tiny_release(tmp_path / "x.edgetl")
    bring(running, clock, path)
    (staged,) = running.staging.iterdir()
    data = bytearray(staged.read_bytes())
    data[len(data) // 2] ^= 1
    staged.write_bytes(data)
    with flashing(running, clock) as flash, pytest.raises(BundleHashError, match="damaged on the device"):
        flash.rehearse(announce(path).sha256)
