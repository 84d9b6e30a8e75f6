"""One flash on the device's side: what is refused before it is sent, what may be cut short, and what the trial decides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edgetl.errors import (
    BusyError,
    DowngradeError,
    EdgetlError,
    FlashError,
    HealthError,
    StorageError,
    TargetError,
    UploadError,
)
from edgetl.runtime.flashing.activation import Activated, Activation
from edgetl.runtime.flashing.admission import Here, check_target
from edgetl.runtime.flashing.facts import settings_of
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.records import Begun, Committed, Rehearsed, Returning, Started, Stopped
from edgetl.runtime.manifest import parse_manifest
from tests.runtime.flashing.world import (
    OWNER,
    Bytes,
    ShownService,
    StillClock,
    announce,
    bring,
    configure,
    flashing,
    install,
    start,
    tiny_release,
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release that fits the device."""
    return tiny_release(tmp_path / "new.edgetl", name="new", number=5)


@pytest.fixture
def running(root: DeviceRoot, clock: StillClock) -> DeviceRoot:
    """A device that runs release 1 from slot a."""
    install(root, "a", clock, "old", 1)
    root.point_to("a")
    return root


def rehearsed(root: DeviceRoot, clock: StillClock, path: Path) -> str:
    """Brings a release and takes its rehearsal for passed; that is tested where it is real."""
    bring(root, clock, path)
    sha256 = announce(path).sha256
    Journal(root.journal).append(Rehearsed(at=clock.now(), sha256=sha256, latency_ms=1.0))
    return sha256


def activated(root: DeviceRoot, clock: StillClock, path: Path) -> Activated:
    sha256 = rehearsed(root, clock, path)
    with flashing(root, clock) as flash:
        return flash.activate(sha256, None)


def went_back(root: DeviceRoot, clock: StillClock, path: Path) -> str:
    """Activates a release that must fail its trial; returns why, when the old one runs again."""
    with pytest.raises(HealthError) as caught:
        activated(root, clock, path)
    assert root.pointed() == "a"
    assert start(root, clock) == "a"
    reason = Journal(root.journal).history().slots["b"].failed
    assert reason is not None and reason in str(caught.value)
    return str(caught.value)


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"architectures": ["aarch64", "armv7l"]}, "new is for aarch64, armv7l, this device is x86_64"),
        ({"devices": ["jetson-nano"]}, "new is for jetson-nano, this device is unnamed"),
        ({"min_edgetl": "99.1"}, "new needs edgetl 99.1, this device has"),
    ],
)
def test_release_for_another_device_is_refused_before_it_is_sent(
    running: DeviceRoot, clock: StillClock, tmp_path: Path, told: dict[str, Any], words: str
) -> None:
    path = tiny_release(tmp_path / "x.edgetl", name="new", number=5, **told)
    with flashing(running, clock) as flash, pytest.raises(TargetError, match=words):
        flash.begin(announce(path), OWNER)
    assert not [e for e in Journal(running.journal).entries() if isinstance(e, Begun)]


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("interpreters", "formats", "words"),
    [
        (("onnxruntime",), ("onnx",), r"new holds tflite models, the device's interpreters \(onnxruntime\) read onnx"),
        ((), (), r"new holds tflite models, the device's interpreters \(none\) read nothing"),
    ],
)
def test_release_that_no_interpreter_here_reads_is_refused(
    tmp_path: Path, interpreters: tuple[str, ...], formats: tuple[str, ...], words: str
) -> None:
    manifest = parse_manifest(announce(tiny_release(tmp_path / "x.edgetl", "new")).manifest, "x")
    with pytest.raises(TargetError, match=words):
        check_target(manifest, Here("x86_64", None, "1.0", interpreters, formats))
    check_target(manifest, Here("x86_64", None, "1.0", ("litert",), ("tflite",)))


def test_release_for_this_device_is_not_refused(running: DeviceRoot, clock: StillClock, tmp_path: Path) -> None:
    configure(running, device="line-3")
    told: dict[str, Any] = {"architectures": ["x86_64"], "devices": ["line-3"], "min_edgetl": "0.0.1"}
    assert not bring(running, clock, tiny_release(tmp_path / "x.edgetl", number=5, **told)).running


@pytest.mark.fault("F6")
def test_release_that_does_not_fit_is_refused_before_it_is_sent(
    full_disk: Path, clock: StillClock, release: Path
) -> None:
    root = DeviceRoot(full_disk)
    root.prepare()
    configure(root)
    told = announce(release, size=10_000_000)
    with flashing(root, clock) as flash, pytest.raises(StorageError, match=r"MB free, the release needs 10\.0 MB"):
        flash.begin(told, OWNER)


@pytest.mark.fault("F7")
def test_journal_that_cannot_be_written_refuses_the_flash_before_anything_changed(
    full_disk: Path, clock: StillClock, tmp_path: Path
) -> None:
    root = DeviceRoot(full_disk)
    root.prepare()
    configure(root, spare_mb=0)
    path = tiny_release(tmp_path / "x.edgetl", number=5)
    with pytest.raises(OSError, match="No space"), (full_disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    with pytest.raises(StorageError), flashing(root, clock) as flash:
        flash.begin(announce(path), OWNER)
    assert list(root.staging.iterdir()) == [] and root.pointed() is None


def test_flash_without_a_service_commits_on_the_golden_set_alone(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    done = activated(running, clock, release)
    assert (done.slot, done.reason) == ("b", "no service runs; its golden set alone speaks for it")
    assert running.bundle("b").read_bytes() == release.read_bytes()
    assert list(running.staging.iterdir()) == []


def test_service_that_is_just_starting_is_waited_for(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    """It loads its model and tells nothing yet; the trial is run all the same."""
    Journal(running.journal).append(Started(at=clock.now(), slot="a", pid=os.getpid()))
    service = ShownService(running, clock)
    service.silent, ready = True, clock.boot_s + 30.0
    clock.boot_s += 20.0  # what it told before it was started anew is old by now
    clock.each.insert(0, lambda: setattr(service, "silent", clock.boot_s < ready))
    assert activated(running, clock, release).reason.startswith("ran well for 2 s")
    assert clock.boot_s >= ready


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "crashed"])
def test_release_for_a_service_that_does_not_run_now_is_left_on_trial(
    running: DeviceRoot, clock: StillClock, release: Path, stopped: bool
) -> None:
    """Its next start runs the trial: it is not committed by its golden set alone."""
    journal, gone = Journal(running.journal), 2**22 - 1
    journal.append(Started(at=clock.now(), slot="a", pid=gone))
    if stopped:
        journal.append(Stopped(at=clock.now(), pid=gone))
    done = activated(running, clock, release)
    assert done.reason.startswith("no service runs now; the next one that starts runs its trial of 2 s")
    history = journal.history()
    assert history.trial is not None and (history.trial.slot, history.newest) == ("b", None)
    assert (start(running, clock, 1), start(running, clock, 2)) == ("b", "a"), "and a crash goes back"


@pytest.mark.fault("F12")
def test_trial_that_crashed_the_service_is_not_left_to_the_next_one(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    """The flash was cut after the swap, the service started with the release once, and is no more."""
    configure(running, takeover_s=4)
    Journal(running.journal).append(Started(at=clock.now(), slot="a", pid=2**22 - 1))
    activated(running, clock, release)
    assert start(running, clock, 2**22 - 1) == "b"
    assert bring(running, clock, release).on_trial
    with flashing(running, clock) as flash, pytest.raises(HealthError, match="the service has not answered for 2 s"):
        flash.activate(announce(release).sha256, None)
    assert running.pointed() == "a"


def test_service_that_hangs_is_not_taken_for_none(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    Journal(running.journal).append(Started(at=clock.now(), slot="a", pid=os.getpid()))
    with pytest.raises(BusyError, match=rf"process {os.getpid()}\) but has not answered for 60 s; restart it"):
        activated(running, clock, release)
    assert running.pointed() == "a" and not running.bundle("b").exists()


def test_trial_passes_when_the_service_runs_well(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    ShownService(running, clock)
    done = activated(running, clock, release)
    assert done.reason == "ran well for 2 s (10 verdicts)"
    assert isinstance(Journal(running.journal).entries()[-1], Committed)


def test_service_that_does_not_take_the_release(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    configure(running, takeover_s=4)
    sha256 = announce(release).sha256
    ShownService(running, clock).takes = lambda found: found != sha256
    assert "the service did not take it within 4 s" in went_back(running, clock, release)


def test_service_that_falls_silent_with_it(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    configure(running, takeover_s=4)
    service = ShownService(running, clock)
    clock.each.append(lambda: setattr(service, "silent", running.pointed() == "b"))
    assert "the service has not answered for 2 s" in went_back(running, clock, release)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"error": "model: the accelerator went away"}, "the line failed: model: the accelerator went away"),
        ({"judged": 40, "faults": 30}, "30 of 40 verdicts are FAULT"),
        ({"judged": 40, "latency_ms": 31.5}, r"too slow on the line: 31.5 ms at p90, the budget is 20 ms"),
    ],
)
def test_service_that_does_badly_with_it(
    running: DeviceRoot, clock: StillClock, release: Path, facts: dict[str, Any], words: str
) -> None:
    configure(running, "budget: {latency_ms: 20}\n")
    ShownService(running, clock).facts[announce(release).sha256] = facts
    assert words in went_back(running, clock, release)


def test_camera_that_gave_frames_before_and_gives_none_now(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    configure(running, trial_s=6)
    ShownService(running, clock).facts[announce(release).sha256] = {"frame_age_s": None, "frames": 0, "judged": 0}
    assert "no frame for 2 s, and the camera gave some before" in went_back(running, clock, release)


@pytest.mark.fault("F21")
def test_camera_that_was_down_before_is_not_blamed_on_the_release(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    configure(running, trial_s=6)
    service = ShownService(running, clock)
    down = {"frame_age_s": None, "frames": 0, "judged": 3, "faults": 3}
    service.facts = {service.sha256 or "": down, announce(release).sha256: down}
    service.beat()
    assert activated(running, clock, release).slot == "b"


@pytest.mark.fault("F12")
def test_service_that_crashed_and_went_back_by_itself_is_believed(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    """The service's own start finds the trial crashed, swaps back, and the flash reports that reason."""
    service = ShownService(running, clock)
    pids = iter(range(10, 20))

    def crash() -> None:
        if running.pointed() == "b":
            assert start(running, clock, next(pids)) == "b"
            assert start(running, clock, next(pids)) == "a"
            service.beat()

    clock.each.append(crash)
    assert "it crashed during its trial" in went_back(running, clock, release)
    assert len([e for e in Journal(running.journal).entries() if isinstance(e, Returning)]) == 1


@pytest.mark.fault("F17")
def test_part_in_view_puts_the_swap_off(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    configure(running, defer_s=3)
    service = ShownService(running, clock)
    service.facts[service.sha256 or ""] = {"part_in_view": True}
    service.beat()
    leaves = clock.boot_s + 1.0
    swapped: list[float] = []

    def leave() -> None:
        if clock.boot_s >= leaves:
            service.facts.clear()
        if running.pointed() == "b" and not swapped:
            swapped.append(clock.boot_s)

    clock.each.insert(0, leave)
    assert activated(running, clock, release).slot == "b"
    assert swapped[0] >= leaves


@pytest.mark.fault("F17")
def test_part_that_stays_in_view_refuses_the_swap(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    service = ShownService(running, clock)
    service.facts[service.sha256 or ""] = {"part_in_view": True}
    service.beat()
    with pytest.raises(BusyError, match="a part has been in view for 3 s"):
        activated(running, clock, release)
    assert running.pointed() == "a" and not running.bundle("b").exists()
    service.facts.clear()
    with flashing(running, clock) as flash:  # what arrived is still there, and still rehearsed
        assert flash.activate(announce(release).sha256, None).slot == "b"


@pytest.mark.fault("F19")
@pytest.mark.parametrize("harm", ["none", "cut", "gone"])
def test_restart_between_upload_and_activation(
    running: DeviceRoot, clock: StillClock, release: Path, harm: str
) -> None:
    sha256 = rehearsed(running, clock, release)
    clock.reboot()
    (staged,) = running.staging.iterdir()
    if harm == "cut":
        staged.write_bytes(release.read_bytes()[:-1])
    elif harm == "gone":
        staged.unlink()
    with flashing(running, clock) as flash:
        if harm == "none":
            assert flash.activate(sha256, None).slot == "b"
        else:
            with pytest.raises(EdgetlError, match="run the command again"):
                flash.activate(sha256, None)
            assert running.pointed() == "a" and not running.bundle("b").exists()


def test_release_that_was_not_rehearsed_is_not_activated(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    bring(running, clock, release)
    with flashing(running, clock) as flash, pytest.raises(UploadError, match="has not passed its rehearsal"):
        flash.activate(announce(release).sha256, None)
    assert running.pointed() == "a" and not running.bundle("b").exists()


def test_same_release_again_changes_nothing(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    activated(running, clock, release)
    journal = running.journal.read_bytes()
    assert bring(running, clock, release).running
    assert running.journal.read_bytes() == journal


def test_flash_that_died_during_the_trial_is_taken_up_again(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    sha256 = rehearsed(running, clock, release)
    with flashing(running, clock) as flash:
        slot = flash._filled(flash.journal.history(), sha256)
        Activation(running, settings_of(running), clock)._slots.activate(slot, 2.0)
    ShownService(running, clock)
    assert bring(running, clock, release).on_trial
    with flashing(running, clock) as flash:
        assert flash.activate(sha256, None).reason.startswith("ran well for 2 s")


def test_another_release_waits_for_a_trial_that_runs_and_ends_one_that_nobody_watches(
    running: DeviceRoot, clock: StillClock, release: Path, tmp_path: Path
) -> None:
    sha256 = rehearsed(running, clock, release)
    with flashing(running, clock) as flash:
        flash._filled(flash.journal.history(), sha256)
        Activation(running, settings_of(running), clock)._slots.activate("b", 2.0)
    service = ShownService(running, clock)
    newer = tiny_release(tmp_path / "newer.edgetl", name="newer", number=6)
    with pytest.raises(BusyError, match="slot b is on trial"):
        bring(running, clock, newer)
    service.silent = True
    clock.boot_s += 10
    assert activated(running, clock, newer).slot == "b"
    assert running.bundle("a").read_bytes() == b"old 1", "the release that is known to run was never overwritten"


def test_rollback_goes_to_the_other_slot_and_back_again(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    activated(running, clock, release)
    for slot, name in (("a", "old"), ("b", "new"), ("a", "old")):
        with flashing(running, clock) as flash:
            assert flash.roll_back(OWNER).name == name
        assert running.pointed() == slot


@pytest.mark.fault("S8")
def test_rollback_does_not_let_older_releases_in(
    running: DeviceRoot, clock: StillClock, release: Path, tmp_path: Path
) -> None:
    """Release 5 ran and was left for 1: what is older than 5 comes with a permit only, 5 itself and newer ones do."""
    activated(running, clock, release)
    with flashing(running, clock) as flash:
        flash.roll_back(OWNER)
    between = tiny_release(tmp_path / "between.edgetl", "between", 3)
    with pytest.raises(DowngradeError, match=r"between is release 3, older than new \(5\), the newest that ran here"):
        bring(running, clock, between)
    assert bring(running, clock, release).arrived.size == 0
    assert not bring(running, clock, tiny_release(tmp_path / "newer.edgetl", "newer", 6)).running
    with flashing(running, clock) as flash:
        flash.begin(announce(between, allow_downgrade=True), OWNER)


@pytest.mark.fault("S8")
def test_other_content_under_the_same_number_is_refused(
    running: DeviceRoot, clock: StillClock, release: Path, tmp_path: Path
) -> None:
    activated(running, clock, release)
    other = tiny_release(tmp_path / "other.edgetl", "other", 5)
    with pytest.raises(DowngradeError, match="other is release 5, and so is new, which runs, with another content"):
        bring(running, clock, other)
    assert bring(running, clock, release).running


@pytest.mark.fault("S8")
def test_permitted_downgrade_sets_the_order_anew(
    running: DeviceRoot, clock: StillClock, release: Path, tmp_path: Path
) -> None:
    activated(running, clock, release)
    two = tiny_release(tmp_path / "two.edgetl", "two", 2)
    with flashing(running, clock) as flash:
        flash.begin(announce(two, allow_downgrade=True), OWNER)
        flash.receive(announce(two).sha256, two.stat().st_size, 0, Bytes(two.read_bytes()))
        flash.journal.append(Rehearsed(at=clock.now(), sha256=announce(two).sha256, latency_ms=1.0))
        flash.activate(announce(two).sha256, None)
    assert activated(running, clock, tiny_release(tmp_path / "three.edgetl", "three", 3)).slot == "b"


@pytest.mark.fault("F14")
def test_flash_after_a_rollback_that_was_cut_short_finishes_that_first(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    """Cut between the journal and the link: `current` still points to the release that was to be left."""
    activated(running, clock, release)
    journal = Journal(running.journal)
    journal.append(Returning(at=clock.now(), slot="a", left="b", reason="asked for", failed=False))
    assert not bring(running, clock, release).running
    assert running.pointed() == "a"
    assert activated(running, clock, release).slot == "b"
    assert start(running, clock) == "b"


def test_rollback_to_a_slot_that_failed_or_is_empty_is_refused(
    running: DeviceRoot, clock: StillClock, release: Path
) -> None:
    with flashing(running, clock) as flash, pytest.raises(FlashError, match="cannot go back to slot b: it is empty"):
        flash.roll_back(OWNER)
    ShownService(running, clock).facts[announce(release).sha256] = {"error": "model: broken"}
    went_back(running, clock, release)
    with (
        flashing(running, clock) as flash,
        pytest.raises(FlashError, match="cannot go back to slot b: failed its trial"),
    ):
        flash.roll_back(OWNER)


@pytest.mark.slow
def test_hundred_flashes_leave_two_slots_and_nothing_else(
    running: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    sizes = []
    for number in range(100):
        path = tiny_release(tmp_path / "x.edgetl", name=f"r{number}", number=number + 2)
        activated(running, clock, path)
        sizes.append(sum(f.stat().st_size for f in running.path.rglob("*") if f.is_file() and f != running.journal))
    assert max(sizes[2:]) - min(sizes[2:]) < 200, "no leak of space"
    assert running.journal.stat().st_size < 400_000
    found = sorted(str(f.relative_to(running.path)) for f in running.path.rglob("*") if not f.is_dir())
    assert found == ["config.yaml", "journal", "lock", "slots/a/bundle.edgetl", "slots/b/bundle.edgetl"]
    assert [f.name for f in running.path.iterdir() if f.is_symlink()] == ["current"]


def test_upload_is_taken_up_by_the_next_command(running: DeviceRoot, clock: StillClock, release: Path) -> None:
    told, data = announce(release), release.read_bytes()
    with flashing(running, clock) as flash:
        flash.begin(told, OWNER)
        flash.receive(told.sha256, told.size, 0, Bytes(data[:2000]))
    with flashing(running, clock) as flash:
        assert flash.begin(told, OWNER).arrived.size == 2000
        assert flash.receive(told.sha256, told.size, 2000, Bytes(data[2000:])).complete
