"""Every state of a device that a flash, its way back and a start of the service pass through."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from edgetl.benchmarks.flash_cuts.releases import OWNER, Cargo, Releases, flash_whole, flashing
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.journal import COMPACT_BYTES
from edgetl.runtime.flashing.layout import SLOTS, DeviceRoot
from edgetl.runtime.flashing.records import Started, Stopped
from edgetl.runtime.flashing.slots import Slots


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A device in some state, and the step that is cut there.

    `brings`: takes a device that runs the old release into the state. `command`: of this Python, without the root.
    `service`: whether one answers, and how the new release does there. `ends`: what runs when the flash was run again.
    """

    name: str
    brings: Callable[[DeviceRoot], None]
    command: tuple[str, ...]
    content: bytes = b""
    code: int = 0
    service: str = ""
    ends: str = "new"


# A start of the service as `edgetl run --slot` makes it, its end, and a run until its trial is over.
_BEGIN = """
import sys, time
from pathlib import Path
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.service import SlotService
from edgetl.runtime.status import StatusBoard
class Line:
    board, part_in_view = StatusBoard(), False
    def stop_between_parts(self): pass
    def stop(self): pass
root = DeviceRoot(Path(sys.argv[sys.argv.index("--root") + 1]))
service = SlotService.begin(root, SystemClock())
"""
_TRIAL = """
service.watch(Line())
while service._slots.journal.history().trial is not None:
    time.sleep(0.05)
"""
_END = "service.end()\n"


def states(releases: Releases) -> list[State]:
    """Every state that a flash, its way back, and a service's start pass through."""
    new = releases.new
    told, sha256 = msgspec.json.encode(new.announcement), ("--sha256", new.sha256)
    half = int(0.5 * new.announcement.size)
    receive = (*_slot("receive"), *sha256, "--size", str(new.announcement.size), "--offset")
    activate, start = (*_slot("activate"), *sha256), ("-c", _BEGIN + _END)

    def up_to(step: str, share: float = 1.0) -> Callable[[DeviceRoot], None]:
        return lambda root: flash_whole(root, new, step, share)

    return [
        State(name="begin", brings=lambda root: None, command=_slot("begin"), content=told),
        State(name="begin, journal shortened", brings=_long_journal, command=_slot("begin"), content=told),
        State(name="receive", brings=up_to("begin"), command=(*receive, "0"), content=new.data),
        State(name="receive, resumed", brings=up_to("receive", 0.5), command=(*receive, str(half)), content=new.data[half:]),
        State(name="rehearse", brings=up_to("receive"), command=(*_slot("rehearse"), *sha256)),
        State(
            name="rehearse, refused", brings=lambda root: _too_slow(root, new), command=(*_slot("rehearse"), *sha256),
            code=1, ends="old",
        ),
        State(name="activate", brings=up_to("rehearse"), command=activate),
        State(name="activate, with a service", brings=up_to("rehearse"), command=activate, service="well"),
        State(
            name="activate, taken back", brings=up_to("rehearse"), command=activate, code=1, service="badly", ends="old"
        ),
        State(name="rollback", brings=up_to("activate"), command=_slot("rollback")),
        State(name="start", brings=up_to("activate"), command=start),
        State(name="start after a crash on trial", brings=lambda root: _on_trial(root, new, crashed=True), command=start),
        State(name="start, both slots broken", brings=_both_broken, command=start),
        State(
            name="commit by the service", brings=lambda root: _on_trial(root, new, crashed=False),
            command=("-c", _BEGIN + _TRIAL + _END),
        ),
    ]  # fmt: skip


def _slot(step: str) -> tuple[str, ...]:
    return ("-m", "edgetl", "slot", step, "--owner", OWNER)


def _long_journal(root: DeviceRoot) -> None:
    clock = SystemClock()
    lines = []
    for pid in range(2 * COMPACT_BYTES // 300):
        lines += [Started(at=clock.now(), slot=root.pointed(), pid=pid), Stopped(at=clock.now(), pid=pid)]
    with root.journal.open("ab") as file:
        file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)


def _too_slow(root: DeviceRoot, new: Cargo) -> None:
    flash_whole(root, new, "receive")
    root.config.write_text(root.config.read_text() + "budget: {latency_ms: 0.000001}\n")


def _on_trial(root: DeviceRoot, new: Cargo, *, crashed: bool) -> None:
    flash_whole(root, new, "rehearse")
    with flashing(root) as flash:
        slot = flash._filled(flash.journal.history(), new.sha256)
    slots = Slots(root, SystemClock())
    slots.activate(slot, 0.3)
    if crashed:
        slots.journal.append(Started(at=slots.clock.now(), slot=slot, pid=2**22 - 1))


def _both_broken(root: DeviceRoot) -> None:
    for slot in SLOTS:
        root.bundle(slot).write_bytes(b"rubbish")
