"""A disk that is full, or takes no more writes, at each step: the flash says so, and the line has a release to run."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgetl.errors import HealthError, StorageError
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.records import Committed, Rehearsed, Started, Stopped
from edgetl.runtime.flashing.service import SlotService
from edgetl.runtime.flashing.slots import Slots
from tests.runtime.flashing.world import (
    OWNER,
    Bytes,
    ShownService,
    StillClock,
    announce,
    bring,
    flashing,
    install,
    small_device,
    tiny_release,
)


@pytest.fixture
def running(full_disk: Path, clock: StillClock, tmp_path: Path) -> DeviceRoot:
    """A device on a disk of 64 KB, which runs release 1 from slot a."""
    root = small_device(full_disk, tmp_path, takeover_s=4)
    install(root, "a", clock)
    Slots(root, clock).activate("a", 5.0)
    Slots(root, clock).commit("a", "test")
    with flashing(root, clock) as flash:
        flash.leave()
    return root


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return tiny_release(tmp_path / "new.edgetl", "new", 5)


def fill(root: DeviceRoot) -> None:
    """Takes every free byte of the disk."""
    with contextlib.suppress(OSError), (root.path.parent / "ballast").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))


def use_up(root: DeviceRoot, clock: StillClock) -> None:
    """Takes what the journal had put by for itself, too: the next entry finds no room."""
    fill(root)
    with pytest.raises(StorageError):
        for _ in range(1000):
            Journal(root.journal).append(Stopped(at=clock.now(), pid=0))
    fill(root)


def rehearsed(root: DeviceRoot, clock: StillClock, path: Path) -> str:
    bring(root, clock, path)
    sha256 = announce(path).sha256
    Journal(root.journal).append(Rehearsed(at=clock.now(), sha256=sha256, latency_ms=1.0))
    return sha256


def starts_with_the_old_one(root: DeviceRoot, clock: StillClock) -> None:
    service = SlotService.begin(root, clock)
    try:
        assert service.slot == "a" and service.release is not None and service.release.name == "old"
    finally:
        service.end()


@pytest.mark.fault("F6")
def test_disk_that_fills_up_during_the_upload(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    told = announce(release)
    with flashing(running, clock) as flash:
        flash.begin(told, OWNER)
        fill(running)
        with pytest.raises(StorageError, match="the disk is full"):
            flash.receive(told.sha256, told.size, 0, Bytes(release.read_bytes()))
    assert list(running.staging.iterdir()) == []
    assert running.pointed() == "a" and running.bundle("a").read_bytes() == b"old 1"
    starts_with_the_old_one(running, clock)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("answers", [True, False], ids=["service", "no-service"])
def test_disk_that_is_full_after_the_upload_stops_nothing(
    running: DeviceRoot, clock: StillClock, release: Path, answers: bool
) -> None:
    """What a flash still has to note has its room already."""
    bring(running, clock, release)
    if answers:
        ShownService(running, clock)
    fill(running)
    sha256 = announce(release).sha256
    with flashing(running, clock) as flash:
        flash.rehearse(sha256)
    with flashing(running, clock) as flash:
        assert flash.activate(sha256, None).slot == "b"
    assert isinstance(Journal(running.journal).entries()[-1], Committed)
    with flashing(running, clock) as flash:
        assert flash.roll_back(OWNER).name == "old"


@pytest.mark.fault("F6")
def test_release_that_fails_its_trial_on_a_full_disk_is_taken_back(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    sha256 = rehearsed(running, clock, release)
    ShownService(running, clock).facts[sha256] = {"error": "model: broken"}
    fill(running)
    with flashing(running, clock) as flash, pytest.raises(HealthError, match="the line failed: model: broken"):
        flash.activate(sha256, None)
    assert running.pointed() == "a"
    assert Journal(running.journal).history().slots["b"].failed is not None
    starts_with_the_old_one(running, clock)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("step", ["begin", "rehearse", "activate", "rollback"])
def test_step_that_cannot_be_noted_changes_nothing(
    running: DeviceRoot, clock: StillClock, release: Path, step: str
) -> None:
    sha256 = announce(release).sha256
    if step == "rehearse":
        bring(running, clock, release)
    elif step == "activate":
        rehearsed(running, clock, release)
    elif step == "rollback":
        install(running, "b", clock, "older", 1)
    use_up(running, clock)
    steps: dict[str, Callable[..., object]] = {
        "begin": lambda flash: flash.begin(announce(release), OWNER),
        "rehearse": lambda flash: flash.rehearse(sha256, look=False),
        "activate": lambda flash: flash.activate(sha256, None),
        "rollback": lambda flash: flash.roll_back(OWNER),
    }
    with flashing(running, clock) as flash, pytest.raises(StorageError, match="the disk is full"):
        steps[step](flash)
    assert running.pointed() == "a" and running.bundle("a").read_bytes() == b"old 1"
    starts_with_the_old_one(running, clock)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("error", [None, "model: broken"], ids=["good", "bad"])
def test_trial_whose_end_cannot_be_noted_is_taken_back(
    running: DeviceRoot, clock: StillClock, release: Path, error: str | None
) -> None:
    """The disk fills up after the swap, the journal's own room too: the link alone says then what runs."""
    sha256 = rehearsed(running, clock, release)
    service = ShownService(running, clock)
    service.facts[sha256] = {"error": error}
    full: list[bool] = []

    def fills_up() -> None:
        if running.pointed() == "b" and not full:
            full.append(True)
            use_up(running, clock)

    clock.each.insert(0, fills_up)
    words = "the line failed" if error else "passed its trial, which cannot be noted"
    with flashing(running, clock) as flash, pytest.raises(HealthError, match=words):
        flash.activate(sha256, None)
    assert full and running.pointed() == "a" and service.slot == "a"
    starts_with_the_old_one(running, clock)


@pytest.mark.fault("F7")
def test_service_starts_on_a_full_disk_and_notes_it(running: DeviceRoot, clock: StillClock) -> None:
    fill(running)
    service = SlotService.begin(running, clock)
    assert (service.slot, service.unnoted) == ("a", "")
    service.end()
    assert [type(e) for e in Journal(running.journal).entries()[-2:]] == [Started, Stopped]


@pytest.mark.fault("F7")
def test_service_starts_on_a_disk_that_takes_nothing(running: DeviceRoot, clock: StillClock) -> None:
    use_up(running, clock)
    service = SlotService.begin(running, clock)
    assert service.slot == "a" and "the disk is full" in service.unnoted
    service.end()


@pytest.mark.fault("F7")
def test_release_on_trial_is_not_started_where_its_start_cannot_be_noted(
    running: DeviceRoot, clock: StillClock
) -> None:
    """Else it would be tried again after each crash, for ever."""
    install(running, "b", clock, "new", 2)
    Slots(running, clock).activate("b", 5.0)
    use_up(running, clock)
    service = SlotService.begin(running, clock)
    assert (service.slot, service.reason) == ("a", "slot b is on trial, and its start cannot be noted")
    assert not service.moved
    service.end()


def test_service_starts_on_a_disk_that_became_read_only(
    running: DeviceRoot, clock: StillClock, full_disk: Path
) -> None:
    done = subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("cannot remount")
    service = SlotService.begin(running, clock)
    assert service.slot == "a" and "read-only" in service.unnoted
    service.end()
