"""The plug pulled while a device is flashed, and what it starts with: `python -m tests.emulation.pulled_plug OUT`.

One emulated computer is set up with the release `old`, and kept. For each pull a copy of it is flashed over SSH, and
its emulator is killed at another moment. What the guest had not written is gone, as with a real plug. The disk is then
mounted, which replays its file system's journal, and the device's own program decides, as at every start of its
service, which release it runs.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from tests.emulation.machine import Machine, remove_machine
from tests.emulation.power_cuts import Cut, Prepared, Report, started_from, tell

PULLS = 10


def pulled_plugs(site: Prepared, folder: Path, flash_s: float, pulls: int = PULLS) -> Report:
    """Pulls the plug at so many moments, spread evenly over a flash of `flash_s` seconds."""
    moments = [flash_s * (number + 0.5) / pulls for number in range(pulls)]
    cuts = [_pull(site, folder / f"pull-{number}", at_s) for number, at_s in enumerate(moments)]
    return Report(old="old", new="new", flash_s=round(flash_s, 1), cuts=cuts)


def _pull(site: Prepared, folder: Path, at_s: float) -> Cut:
    folder.mkdir()
    machine = Machine(folder, site.machine.folder)
    machine.port = site.machine.port  # the workstation knows the device by it
    try:
        machine.start()
        flash_until(at_s, machine, site)
        return Cut(after_s=round(at_s, 1), **started_from(machine.disk, folder))  # type: ignore[arg-type]
    finally:
        remove_machine(machine)


def flash_until(at_s: float | None, machine: Machine, site: Prepared) -> float:
    """Flashes, and pulls the plug then, or at the end; returns the seconds until that."""
    started = time.monotonic()
    flash = site.office.start("flash", site.bundle, "--to", "line-3", "--trial", 5)
    with contextlib.suppress(subprocess.TimeoutExpired):
        flash.wait(at_s)
    machine.cut_power()
    took = time.monotonic() - started
    flash.kill()
    _, said = flash.communicate()
    if at_s is None and flash.returncode != 0:
        raise RuntimeError(said)
    return took


def whole_flash_first(site: Prepared, folder: Path) -> Report:
    """The points lie evenly over a flash that is not disturbed, so that comes first."""
    return pulled_plugs(site, folder, flash_until(None, site.machine, site))


if __name__ == "__main__":
    sys.exit(tell("pulled_plug", whole_flash_first))
