"""The service follows its slot: it ends between parts, comes back from a crash on the other release, and says how it is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetl.errors import BundleHashError
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.flash import Flash
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.lease import holding
from edgetl.runtime.flashing.pulse import read_pulse
from edgetl.runtime.flashing.records import Filled, Installed, Rehearsed, Started, Stopped
from edgetl.runtime.flashing.service import SlotService
from edgetl.runtime.flashing.slots import Slots
from edgetl.runtime.status import StatusBoard
from tests.conftest import edgetl
from tests.runtime import tiny
from tests.runtime.flashing.test_full_disk import use_up
from tests.runtime.flashing.world import (
    OWNER,
    Bytes,
    StillClock,
    announce,
    configure,
    install,
    small_device,
    tiny_release,
)

DEADLINE_S = 60.0


def eventually(holds: Callable[[], object], what: str) -> None:
    """Waits until it holds."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Service:
    """`edgetl run --slot`, and its lines."""

    def __init__(self, root: DeviceRoot, out: Path) -> None:
        command = [sys.executable, "-m", "edgetl", "run", "--slot", str(root.path), "--json",
                   "--source", "sim:parts=100000,parts_per_minute=300", "--interpreter", "litert", "--threads", "1"]  # fmt: skip
        self._out = out
        self.log = out.with_suffix(".log")
        self.process = subprocess.Popen(command, stdout=out.open("a"), stderr=self.log.open("a"))

    def verdicts(self) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self._out.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if "verdict" in line]


@pytest.fixture
def service(root: DeviceRoot, tmp_path: Path) -> Iterator[Callable[[], Service]]:
    started: list[Service] = []

    def start() -> Service:
        started.append(Service(root, tmp_path / "lines"))
        return started[-1]

    yield start
    for found in started:
        found.process.kill()
        found.process.wait()


def flashed(root: DeviceRoot, path: Path) -> str:
    """The device's side of a flash, its rehearsal taken for passed; returns why it was committed."""
    told, clock = announce(path), SystemClock()
    with holding(root, OWNER, clock, 60.0) as holder:
        flash = Flash(root, clock, holder)
        if not flash.begin(told, OWNER).arrived.complete:
            flash.receive(told.sha256, told.size, 0, Bytes(path.read_bytes(), 1 << 20))
        flash.journal.append(Rehearsed(at=clock.now(), sha256=told.sha256, latency_ms=1.0))
        return flash.activate(told.sha256, None).reason


@pytest.mark.slow
@pytest.mark.fault("F13", "F17")
def test_from_safe_mode_over_two_releases_every_part_has_one_verdict(
    root: DeviceRoot, tmp_path: Path, service: Callable[[], Service]
) -> None:
    configure(root, stall_s=20, takeover_s=60, trial_s=2)
    running = service()
    eventually(lambda: len(running.verdicts()) > 2, "safe mode gives verdicts")
    assert {v["verdict"] for v in running.verdicts()} == {"FAULT"}
    assert running.log.read_text().startswith("edgetl: safe mode: no release has been flashed")
    assert all("safe mode: no release has been flashed" in str(v["reason"]) for v in running.verdicts())
    for number in (1, 2):
        path = tiny_release(tmp_path / f"{number}.edgetl", f"r{number}", number)
        assert flashed(root, path).startswith("ran well for 2 s")
        pulse = read_pulse(root)
        assert pulse is not None and pulse.sha256 == announce(path).sha256
        assert pulse.pid == running.process.pid, "it started anew in the same process"
    running.process.terminate()
    assert running.process.wait(timeout=DEADLINE_S) == 0
    runs: list[list[dict[str, object]]] = []
    for verdict in running.verdicts():
        if verdict["sequence"] == 1:
            runs.append([])
        runs[-1].append(verdict)
    assert len(runs) == 3
    for verdicts in runs:
        parts = [v["part"] for v in verdicts]
        assert parts == list(range(1, len(parts) + 1)), "no part is missing and none came twice"
    for verdicts in runs[:2]:  # the last one was ended by a signal, at once
        assert not [v for v in verdicts if "stopped before" in str(v["reason"])]
    entries = Journal(root.journal).entries()
    assert isinstance(entries[-1], Stopped)
    assert len([e for e in entries if isinstance(e, Started)]) == 3


@pytest.mark.slow
@pytest.mark.fault("F8", "F12")
def test_release_that_crashes_the_service_on_trial_is_left_at_its_next_start(
    root: DeviceRoot, tmp_path: Path, service: Callable[[], Service]
) -> None:
    """As systemd would: started, killed by its model, started again."""
    clock = SystemClock()
    good = tiny_release(tmp_path / "good.edgetl")
    bad = tiny.rewritten(
        good, tmp_path / "bad.edgetl", lambda name, data: tiny.crashing() if name == "model/int8.tflite" else data
    )
    slots = Slots(root, clock)
    for slot, path in (("a", good), ("b", bad)):
        told = announce(path)
        root.bundle(slot).write_bytes(path.read_bytes())  # type: ignore[arg-type]
        manifest = hashlib.sha256(told.manifest).hexdigest()
        release = Installed(sha256=told.sha256, manifest_sha256=manifest, size=told.size, name=path.stem, number=1)
        slots.journal.append(Filled(at=clock.now(), slot=slot, release=release))  # type: ignore[arg-type]
    slots.activate("a", 5.0)
    slots.commit("a", "test")
    slots.activate("b", 5.0)
    assert service().process.wait(timeout=DEADLINE_S) == -11
    again = service()
    eventually(lambda: [v for v in again.verdicts() if v["verdict"] != "FAULT"], "the old release gives verdicts")
    assert root.pointed() == "a"
    assert Journal(root.journal).history().slots["b"].failed == "it crashed during its trial"


@pytest.mark.slow
@pytest.mark.fault("F7")
def test_line_inspects_on_a_disk_that_takes_nothing_more(full_disk: Path, tmp_path: Path, clock: StillClock) -> None:
    """The real service, started on a full disk whose journal has used up its own room."""
    root = small_device(full_disk, tmp_path)
    flashed(root, tiny_release(tmp_path / "x.edgetl"))
    use_up(root, clock)
    running = Service(root, tmp_path / "lines")
    try:
        eventually(lambda: [v for v in running.verdicts() if v["verdict"] != "FAULT"], "it gives verdicts")
        running.process.terminate()
        assert running.process.wait(timeout=DEADLINE_S) == 0
    finally:
        running.process.kill()
        running.process.wait()


def test_bundle_and_slot_exclude_each_other(root: DeviceRoot, tmp_path: Path) -> None:
    for arguments in ([], [tmp_path / "x.edgetl", "--slot", root.path]):
        done = edgetl("run", *arguments, "--source", "sim:")
        assert done.returncode == 2 and "name a BUNDLE to run, or with --slot" in done.stderr


def flashed_here(root: DeviceRoot, clock: StillClock, path: Path) -> str:
    """Puts a whole release into slot a, as if it had been flashed and committed; returns its SHA-256."""
    told = announce(path)
    shutil.copyfile(path, root.bundle("a"))
    release = Installed(
        sha256=told.sha256, manifest_sha256=hashlib.sha256(told.manifest).hexdigest(), size=told.size, name="good", number=1
    )  # fmt: skip
    slots = Slots(root, clock)
    slots.journal.append(Filled(at=clock.now(), slot="a", release=release))
    slots.activate("a", 5.0)
    slots.commit("a", "test")
    return told.sha256


@pytest.mark.fault("S11")
def test_what_runs_is_what_was_verified_whatever_takes_its_place(
    root: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    """A thread renames another whole bundle over it and back, as fast as it can."""
    good, evil = (tiny_release(tmp_path / f"{name}.edgetl", name) for name in ("good", "evil"))
    flashed_here(root, clock, good)
    done = threading.Event()

    def swap() -> None:
        new = root.path / "new"
        while not done.is_set():
            for path in (evil, good):
                shutil.copyfile(path, new)
                new.replace(root.bundle("a"))

    swapper = threading.Thread(target=swap)
    swapper.start()
    ran = []
    try:
        for _ in range(40):
            service = SlotService.begin(root, clock)
            if service.slot is None:  # it lay there just then; a device would stay in safe mode
                flashed_here(root, clock, good)
            else:
                with service.bundle() as bundle:
                    ran.append(bundle.manifest.name)
            service.end()
    finally:
        done.set()
        swapper.join()
    assert set(ran) == {"good"}


@pytest.mark.fault("S11")
def test_file_that_is_written_over_after_it_was_verified_does_not_run(
    root: DeviceRoot, clock: StillClock, tmp_path: Path
) -> None:
    good, evil = (tiny_release(tmp_path / f"{name}.edgetl", name) for name in ("good", "evil"))
    flashed_here(root, clock, good)
    service = SlotService.begin(root, clock)
    with root.bundle("a").open("r+b") as file:
        file.write(evil.read_bytes())
        file.truncate()
    with pytest.raises(BundleHashError, match="another manifest than the release that was flashed"):
        service.bundle()
    service.end(BundleHashError("as above"))
    assert Journal(root.journal).history().running is not None, "it counts as a crash"


class StandingLine:
    """A line that does what it is told, and remembers it."""

    def __init__(self) -> None:
        self.board = StatusBoard()
        self.part_in_view = False
        self.told: list[str] = []

    def stop_between_parts(self) -> None:
        self.told.append("between parts")

    def stop(self) -> None:
        self.told.append("now")


def begun(root: DeviceRoot, clock: StillClock) -> SlotService:
    install(root, "a", clock)
    install(root, "b", clock, "new", 2)
    slots = Slots(root, clock)
    slots.activate("a", 5.0)
    slots.commit("a", "test")
    return SlotService.begin(root, clock)


def test_one_service_at_a_time(root: DeviceRoot, clock: StillClock) -> None:
    service = begun(root, clock)
    done = edgetl("run", "--slot", root.path, "--source", "sim:")
    assert done.returncode == 1 and "E_BUSY" in done.stderr and "runs already" in done.stderr
    service.end()
    again = SlotService.begin(root, clock)
    assert again.slot == "a"
    again.end()


def test_swapped_link_ends_the_line_between_parts_and_at_last_at_once(root: DeviceRoot, clock: StillClock) -> None:
    service, line = begun(root, clock), StandingLine()
    service.watch(line)
    eventually(lambda: read_pulse(root) is not None, "the pulse is written")
    assert line.told == [] and not service.moved
    root.point_to("b")
    eventually(lambda: line.told, "it is told")
    assert line.told == ["between parts"] and service.moved
    clock.boot_s += 100.0
    eventually(lambda: "now" in line.told, "it waits no longer than defer_s")
    service.end()


def test_trial_whose_flash_was_lost_is_ended_by_the_service(root: DeviceRoot, clock: StillClock) -> None:
    begun(root, clock).end()
    slots = Slots(root, clock)
    slots.activate("b", 5.0)
    service, line = SlotService.begin(root, clock), StandingLine()
    assert service.slot == "b"
    service.watch(line)
    eventually(lambda: read_pulse(root) is not None and read_pulse(root).slot == "b", "the pulse is written")  # type: ignore[union-attr]
    assert slots.journal.history().trial is not None
    clock.boot_s += 70.0
    eventually(lambda: slots.journal.history().trial is None, "it is committed")
    assert root.pointed() == "b"
    service.end()


def test_model_that_fails_counts_as_a_crash_and_a_camera_does_not(root: DeviceRoot, clock: StillClock) -> None:
    from edgetl.errors import ModelError, SourceError

    begun(root, clock).end(SourceError("no camera"))
    assert Journal(root.journal).history().running is None
    SlotService.begin(root, clock).end(ModelError("refused"))
    running = Journal(root.journal).history().running
    assert running is not None and running.pid == os.getpid()
