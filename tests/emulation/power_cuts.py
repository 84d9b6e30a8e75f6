"""Power cuts while a device is flashed, and what it starts with after each: `python -m tests.emulation.power_cuts OUT`.

The disk of an emulated computer is frozen at points spread over a real flash over SSH, as it lies there at that moment:
what the guest had not written is not on it, which is what a pulled plug leaves. Each frozen disk is then mounted, which
replays its file system's journal, and the device's own program decides, as at every start of its service, which release
it runs. The table has one row for each cut.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.device.site import Workstation
from tests.emulation.machine import SNAPSHOT, Machine, base_image, remove_machine
from tests.emulation.rootfs import ensure_binfmt

CUTS = 40

# Run on the mounted disk by the device's own Python: the start of its service, up to the release that it would load.
_START = """
import json
from pathlib import Path
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.service import SlotService

root = DeviceRoot(Path("/var/lib/edgetl"))
lines = root.journal.read_bytes().splitlines()
done = json.loads(lines[-1])["what"] if lines else ""
service = SlotService.begin(root, SystemClock())
name = None
if service.slot is not None:
    with open_bundle(root.bundle(service.slot)) as bundle:
        name = bundle.manifest.name
print(json.dumps({"journal": done, "slot": service.slot, "release": name, "reason": service.reason}))
"""
_MOUNT = """set -e
mount -o loop "$1" "$2"; cd "$2"
mount -t proc proc proc; mount --rbind /sys sys; mount --bind etc/cpuinfo-pi4 proc/cpuinfo
mount -t tmpfs tmpfs run; mkdir -p run/edgetl
exec chroot . /usr/bin/env -i PATH=/usr/bin:/bin QEMU_CPU=cortex-a72 /opt/edgetl/venv/bin/python -c "$3"
"""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """One power cut: when, what the journal's last line on the disk was, and what the device starts with."""

    after_s: float
    journal: str
    slot: str | None
    release: str | None
    reason: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All cuts of one flash from release `old` to `new`; `flash_s` is how long it took under emulation."""

    old: str
    new: str
    flash_s: float
    cuts: list[Cut]

    @property
    def bricked(self) -> list[Cut]:
        """Cuts after which the device starts with neither."""
        return [cut for cut in self.cuts if cut.release not in (self.old, self.new)]


class Prepared(NamedTuple):
    """A machine that inspects with the release `old`, kept as a snapshot of that, and the release `new` for it."""

    machine: Machine
    office: Workstation
    bundle: Path


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[Prepared]:
    """Makes one, and removes it in the end. Raises RuntimeError where it cannot be set up."""
    ensure_binfmt()
    machine = Machine(folder, base_image())
    try:
        machine.start()
        office = Workstation(folder, machine.key, machine.port)
        _set_up(machine, office)
        bundle = office.release("new", 2)
        machine.monitor(f"savevm {SNAPSHOT}")
        yield Prepared(machine, office, bundle)
    finally:
        remove_machine(machine)


def _set_up(machine: Machine, office: Workstation) -> None:
    """On a busy workstation an emulated answer may come too late; both commands go on from where they were."""
    init = ("device", "init", "line-3", "--config", "generic-arm64", "--signers", office.signers, "--line",
            office.line_file(), "--wheelhouse", office.wheelhouse)  # fmt: skip
    for command in (init, ("flash", office.release("old", 1), "--to", "line-3", "--trial", 5)):
        for _ in range(3):
            done = office.edgetl(*command)
            if done.returncode == 0:
                break
        else:
            raise RuntimeError(done.stderr)
    machine.ssh("sync")


def flash_and_freeze(site: Prepared, every_s: float) -> tuple[float, list[tuple[float, Path]]]:
    """Flashes the release `new` and freezes the disk every so often; returns how long it took, and the frozen disks."""
    machine, office, bundle = site
    outcome: list[subprocess.CompletedProcess[str]] = []
    flash = threading.Thread(
        target=lambda: outcome.append(office.edgetl("flash", bundle, "--to", "line-3", "--trial", 5, timeout_s=3000))
    )
    started = time.monotonic()
    flash.start()
    frozen: list[tuple[float, Path]] = []
    while flash.is_alive():
        flash.join(every_s)
        frozen.append((time.monotonic() - started, machine.freeze_disk()))
    if outcome[0].returncode != 0:
        raise RuntimeError(outcome[0].stderr)
    return time.monotonic() - started, frozen


def started_from(disk: Path, scratch: Path) -> dict[str, str | None]:
    """What the device of a frozen disk starts with."""
    raw, place = scratch / "disk.raw", scratch / "mounted"
    place.mkdir(exist_ok=True)
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True)
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNT, "sh", str(raw), str(place), _START]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    raw.unlink()
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"journal": "unknown", "slot": None, "release": None, "reason": said}
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def power_cuts(site: Prepared, folder: Path, cuts: int = CUTS, every_s: float = 2.0) -> Report:
    """Cuts the power at so many points at least of one flash. Raises RuntimeError where the flash itself fails."""
    flash_s, frozen = flash_and_freeze(site, every_s)
    step = max(1, len(frozen) // cuts)
    found = [Cut(after_s=round(after_s, 1), **started_from(disk, folder)) for after_s, disk in frozen[::step]]  # type: ignore[arg-type]
    return Report(old="old", new="new", flash_s=round(flash_s, 1), cuts=found)


def summary(report: Report) -> str:
    """The cuts as a table, and how they ended."""
    lines = ["| cut after | journal's last line | starts with | why |", "| ---: | --- | --- | --- |"]
    lines += [
        f"| {cut.after_s:.1f} s | {cut.journal} | {cut.release or 'NEITHER'} | {cut.reason} |" for cut in report.cuts
    ]
    count = {name: sum(cut.release == name for cut in report.cuts) for name in (report.old, report.new)}
    lines += ["", f"{len(report.cuts)} cuts in a flash of {report.flash_s:.0f} s (emulated arm64): {count['old']} start "
                  f"with the old release, {count['new']} with the new, {len(report.bricked)} with neither"]  # fmt: skip
    return "\n".join(lines)


def tell(name: str, measure: Callable[[Prepared, Path], Report]) -> int:
    """Writes NAME.json into the folder on the command line and prints the table; exit code 1 if a cut left neither release."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with prepared(folder) as site:
            report = measure(site, folder)
    (out / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(summary(report))
    return 1 if report.bricked else 0


if __name__ == "__main__":
    sys.exit(tell("power_cuts", power_cuts))
