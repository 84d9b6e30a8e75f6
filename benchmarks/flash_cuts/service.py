"""A service as a flash sees it: one that follows the release in use and says how it does."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edgetl.benchmarks.flash_cuts.releases import Cargo
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.facts import release_in
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.pulse import Pulse, write_pulse


@contextmanager
def answering(root: DeviceRoot, how: str, new: Cargo) -> Iterator[None]:
    """A service that follows `current` and writes its pulse; `badly`: with the new release it says that it fails."""
    if not how:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_answer, args=(root, new.sha256 if how == "badly" else None, done))
    thread.start()
    try:
        while not root.pulse.exists():  # a flash that finds no beat takes it that there is no service
            done.wait(0.01)
        yield
    finally:
        done.set()
        thread.join()
        root.pulse.unlink(missing_ok=True)


def _answer(root: DeviceRoot, bad: str | None, done: threading.Event) -> None:
    clock, slot, began = SystemClock(), None, 0.0
    while not done.wait(0.05):
        now, pointed = clock.now(), root.pointed()
        if pointed != slot:
            slot, began = pointed, now.boot_s
        release = release_in(Journal(root.journal).history(), slot)
        sha256 = release.sha256 if release is not None else None
        beat = Pulse(
            at=now, pid=1, slot=slot, sha256=sha256, uptime_s=now.boot_s - began, frames=90, judged=30,
            frame_age_s=0.01, latency_ms=1.0, error="model: broken" if sha256 == bad else None,
        )  # fmt: skip
        with contextlib.suppress(Exception):  # the root may be put back to how it was at this moment
            write_pulse(root, beat)
