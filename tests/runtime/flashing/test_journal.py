"""The journal says what happened, through torn lines, two writers, full disks and its own shortening."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.errors import StorageError
from edgetl.runtime.flashing.journal import COMPACT_BYTES, RESERVE_BYTES, Journal
from edgetl.runtime.flashing.layout import SLOTS, DeviceRoot
from edgetl.runtime.flashing.records import Started, Stopped
from edgetl.runtime.flashing.slots import Slots
from tests.runtime.flashing.test_start import on_trial
from tests.runtime.flashing.world import StillClock, install, start


def test_entries_come_back_in_order(root: DeviceRoot, clock: StillClock) -> None:
    journal = Journal(root.journal)
    entries = [Started(at=clock.now(), slot="a", pid=1), Stopped(at=clock.now(), pid=1)]
    for entry in entries:
        journal.append(entry)
    assert journal.entries() == entries


def test_line_torn_at_any_byte_is_passed_over_and_written_over(root: DeviceRoot, clock: StillClock) -> None:
    journal = Journal(root.journal)
    journal.append(Started(at=clock.now(), slot="a", pid=1))
    whole = root.journal.read_bytes()
    for length in range(1, len(whole)):
        root.journal.write_bytes(whole + whole[:length])
        assert [e.pid for e in journal.entries()] == [1]
        journal.append(Stopped(at=clock.now(), pid=2))
        assert [type(e) for e in journal.entries()] == [Started, Stopped]


def test_zeros_that_a_power_cut_left_are_passed_over(root: DeviceRoot, clock: StillClock) -> None:
    journal = Journal(root.journal)
    journal.append(Started(at=clock.now(), slot="a", pid=1))
    with root.journal.open("ab") as file:
        file.write(bytes(300))
    assert len(journal.entries()) == 1
    journal.append(Stopped(at=clock.now(), pid=1))
    assert len(journal.entries()) == 2


def test_entry_of_a_later_version_is_passed_over(root: DeviceRoot, clock: StillClock) -> None:
    journal = Journal(root.journal)
    journal.append(Started(at=clock.now(), slot="a", pid=1))
    root.journal.write_bytes(root.journal.read_bytes() + b'{"what":"teleported","at":1}\n')
    journal.append(Stopped(at=clock.now(), pid=1))
    assert [type(e) for e in journal.entries()] == [Started, Stopped]


@pytest.mark.fault("F7")
def test_full_disk_refuses_an_entry_and_keeps_the_rest(full_disk: Path, clock: StillClock) -> None:
    root = DeviceRoot(full_disk)
    root.prepare()
    journal = Journal(root.journal)
    journal.append(Started(at=clock.now(), slot="a", pid=1))
    ballast = full_disk / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    with pytest.raises(StorageError, match="the disk is full"):
        for pid in range(1000):
            journal.append(Stopped(at=clock.now(), pid=pid))
    assert root.journal.stat().st_size > RESERVE_BYTES / 2, "what was put by before was used first"
    assert root.journal.read_bytes().endswith(b"\n")
    before = len(journal.entries())
    ballast.unlink()
    journal.append(Stopped(at=clock.now(), pid=2))
    assert len(journal.entries()) == before + 1


def test_two_processes_write_whole_lines(root: DeviceRoot) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from edgetl.runtime.flashing.journal import Journal\n"
        "from edgetl.runtime.flashing.clock import SystemClock\n"
        "from edgetl.runtime.flashing.records import Stopped\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for n in range(40): journal.append(Stopped(at=SystemClock().now(), pid=int(sys.argv[2]) + n))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(root.journal), str(base)]) for base in (0, 1000)]
    assert [w.wait(timeout=60) for w in writers] == [0, 0]
    pids = [e.pid for e in Journal(root.journal).entries() if isinstance(e, Stopped)]
    assert sorted(pids) == [*range(40), *range(1000, 1040)]


def test_it_is_shortened_without_a_change_of_its_meaning(root: DeviceRoot, clock: StillClock) -> None:
    slots = on_trial(root, clock)
    slots.commit("b", "well")
    pid = 0
    while root.journal.stat().st_size < COMPACT_BYTES:
        pid += 1
        slots.journal.append(Started(at=clock.now(), slot="b", pid=pid))
        slots.journal.append(Stopped(at=clock.now(), pid=pid))
        clock.boot_s += 60
    history = slots.journal.history()
    slots.journal.compact()
    assert root.journal.stat().st_size < COMPACT_BYTES / 2
    assert slots.journal.history() == history
    assert start(root, clock, pid + 1) == "b"
    assert list(root.path.glob(".journal*")) == []


def test_it_remembers_that_there_is_a_service_which_has_not_run_for_long(root: DeviceRoot, clock: StillClock) -> None:
    slots = on_trial(root, clock)
    slots.journal.append(Started(at=clock.now(), slot="a", pid=1))
    slots.journal.append(Stopped(at=clock.now(), pid=1))
    while root.journal.stat().st_size < COMPACT_BYTES:
        for slot in SLOTS:
            install(root, slot, clock)
            slots.activate(slot, 5.0)
            slots.commit(slot, "well")
    history = slots.journal.history()
    slots.journal.compact()
    assert root.journal.stat().st_size < COMPACT_BYTES
    assert slots.journal.history() == history and history.served


def test_writer_that_waited_for_a_shortening_writes_to_the_new_file(root: DeviceRoot, clock: StillClock) -> None:
    slots = Slots(root, clock)
    with slots.journal._locked():
        program = (
            "import sys; from pathlib import Path\n"
            "from edgetl.runtime.flashing.journal import Journal\n"
            "from edgetl.runtime.flashing.clock import SystemClock\n"
            "from edgetl.runtime.flashing.records import Stopped\n"
            "print('ready', flush=True)\n"
            "Journal(Path(sys.argv[1])).append(Stopped(at=SystemClock().now(), pid=5))\n"
        )
        writer = subprocess.Popen([sys.executable, "-c", program, str(root.journal)], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        renamed = root.journal.with_name("new")
        renamed.write_bytes(b"")
        renamed.replace(root.journal)
    assert writer.wait(timeout=60) == 0
    assert [e.pid for e in slots.journal.entries() if isinstance(e, Stopped)] == [5]
