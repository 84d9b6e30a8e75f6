"""The cuts themselves: which there are, what a device starts with after each, and that it ends as it would have."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click

from edgetl.benchmarks.flash_cuts.places import Place
from edgetl.benchmarks.flash_cuts.releases import Cargo, Releases, flash_whole
from edgetl.benchmarks.flash_cuts.service import answering
from edgetl.benchmarks.flash_cuts.states import State
from edgetl.errors import HealthError
from edgetl.runtime.flashing.clock import SystemClock
from edgetl.runtime.flashing.facts import settings_of
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.slots import Slots

CALLS = (
    "write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync,sync_file_range,rename,renameat,"
    "renameat2,symlink,symlinkat,link,linkat,unlink,unlinkat,mkdir,mkdirat"
)
OPEN = "openat"  # cut only where it makes a file of the device's
COLUMNS = ("cuts", "old", "new", "safe mode", "neither", "converged", "stuck", "missed")

Cut = tuple[str, int]  # the system call, and which of its calls in one process


def run(state: State, root: Path, cut: Cut | None = None, log: Path | None = None) -> bool:
    """Runs a state's step, killed at a cut or with its calls written to a log; True if it was cut."""
    command = [sys.executable, *state.command, "--root", str(root)]
    if cut is not None and log is not None:
        call, number = cut
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}", "-o", str(log)]
        command = ["strace", "-f", "-qq", *inject, *command]
    elif log is not None:
        command = ["strace", "-f", "-qq", "-e", f"trace={CALLS},{OPEN}", "-o", str(log), *command]
    done = subprocess.run(command, input=state.content, capture_output=True, timeout=300, check=False)
    if cut is None and done.returncode != state.code:
        raise RuntimeError(f"{state.name}: {done.stderr.decode()}")
    return cut is not None and log is not None and "killed by SIGKILL" in log.read_text()


def cuts_of(log: Path, root: Path) -> list[Cut]:
    """Every cut that a run's log offers: strace counts each call of each process for itself."""
    counts: Counter[tuple[str, str]] = Counter()
    cuts: set[Cut] = set()
    for line in log.read_text().splitlines():
        found = re.match(r"(\d+) +(\w+)\(", line)
        if found is None:
            continue
        counts[found[1], found[2]] += 1
        if found[2] != OPEN or ("O_CREAT" in line and str(root) in line):
            cuts.add((found[2], counts[found[1], found[2]]))
    return sorted(cuts)


def starts_with(root: DeviceRoot) -> str | None:
    """The SHA-256 of the release that a service would run which starts now; None in safe mode."""
    slots = Slots(root, SystemClock())
    start = slots.next_start(settings_of(root).flashing)
    return hashlib.sha256(root.bundle(start.slot).read_bytes()).hexdigest() if start.slot else None


def cut_everywhere(
    state: State, place: Place, releases: Releases, calls: tuple[str, ...] | None = None
) -> dict[str, int]:
    """Cuts a state's step at each of its calls (of some kinds), from the place's saved state; counts what was found."""
    names = {releases.old.sha256: "old", releases.new.sha256: "new", None: "safe mode"}
    wanted = {"old": releases.old.sha256, "new": releases.new.sha256}[state.ends]
    found: Counter[str] = Counter()
    log = place.folder / "calls"
    with answering(DeviceRoot(place.root), state.service, releases.new):
        run(state, place.root, log=log)
    for cut in cuts_of(log, place.root):
        if calls is not None and cut[0] not in calls:
            continue
        if not any(_cut_once(state, place, cut, log, releases) for _ in range(2)):
            found["missed"] += 1  # that call did not come
            continue
        with place.after_the_cut() as root:
            found["cuts"] += 1
            outcome = names.get(starts_with(root), "neither")
            found[outcome] += 1
            with answering(root, state.service, releases.new):
                _flash_again(root, releases.new)
            found["converged" if starts_with(root) == wanted else "stuck"] += 1
            ends = names.get(starts_with(root), "neither")
        click.echo(f"{state.name}: {cut[0]} {cut[1]}: {outcome}, then {ends}", err=True)
    return {key: found[key] for key in COLUMNS}


def _flash_again(root: DeviceRoot, new: Cargo) -> None:
    """As somebody would; where that ends a trial which failed before the cut, once more."""
    for _ in range(2):
        with contextlib.suppress(HealthError):
            flash_whole(root, new)
            return


def _cut_once(state: State, place: Place, cut: Cut, log: Path, releases: Releases) -> bool:
    place.restore()
    with answering(DeviceRoot(place.root), state.service, releases.new):
        return run(state, place.root, cut, log)


def prepared(place: Place, releases: Releases) -> DeviceRoot:
    """A device that runs the old release, with something to replace in the other slot."""
    root = DeviceRoot(place.root)
    root.prepare()
    limits = 'signatures: "required", spare_mb: 0, trial_s: 0.3, takeover_s: 2, stall_s: 5'
    root.config.write_text(f"architecture: {platform.machine()}\nflashing: {{{limits}}}\n")
    root.allowed_signers.write_text(releases.signers)
    for release in (releases.first, releases.old):
        flash_whole(root, release)
    return root


def cut_state(state: State, place: Place, releases: Releases, calls: tuple[str, ...] | None = None) -> dict[str, int]:
    """Brings a fresh device into a state, and cuts its step there everywhere."""
    shutil.rmtree(place.root, ignore_errors=True)
    state.brings(prepared(place, releases))
    place.save()
    return cut_everywhere(state, place, releases, calls)
