"""What a device says of itself when it is asked."""

from __future__ import annotations

import os
import platform

import msgspec

from edgetl import __version__
from edgetl.runtime.device_config import DeviceConfig, load_config
from edgetl.runtime.flashing.admission import Here
from edgetl.runtime.flashing.clock import Clock, Moment
from edgetl.runtime.flashing.history import History, Outcome
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import SLOTS, DeviceRoot, Slot
from edgetl.runtime.flashing.lease import Lease, read_lease, standing
from edgetl.runtime.flashing.pulse import Pulse, read_pulse
from edgetl.runtime.flashing.records import Installed
from edgetl.runtime.interpreters.registry import available, format_of

# The lowest and the highest protocol that this version speaks. It is raised when a command's question or answer
# changes so that the other side of before would misread it; what is only added does not raise it.
PROTOCOLS = (1, 1)


class SlotFacts(msgspec.Struct, frozen=True):
    """A slot's release, and why it must not run, if so."""

    release: Installed | None
    failed: str | None


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `edgetl slot status`. `busy`: who is flashing; `free_bytes` under the device's root; `step_s`: the
    longest that a step of a flash takes, a trial of another length than the device's left out."""

    protocols: tuple[int, int]
    edgetl: str
    architecture: str
    device: str | None
    interpreters: tuple[str, ...]
    signatures: str
    trusts: bool
    free_bytes: int
    clock: Moment
    current: Slot | None
    slots: dict[Slot, SlotFacts]
    on_trial: bool
    safe_mode: str | None
    last: Outcome | None
    busy: Lease | None
    service: Pulse | None
    step_s: float = 900.0  # what devices that do not say so keep to


def settings_of(root: DeviceRoot) -> DeviceConfig:
    """The device's settings; a root without a file has the defaults. Raises UsageError with file and line."""
    return load_config(str(root.config)) if root.config.is_file() else DeviceConfig(architecture=platform.machine())


def device(config: DeviceConfig) -> Here:
    """The device, as far as a release may depend on it."""
    names = available()
    formats = tuple(sorted({format_of(name) for name in names}))
    return Here(platform.machine(), config.flashing.device, __version__, names, formats)


def release_in(history: History, slot: Slot | None) -> Installed | None:
    """The release that a slot holds, by the journal."""
    releases = history.slots[slot].releases if slot is not None else ()
    return releases[-1] if releases else None


def free_bytes(root: DeviceRoot) -> int:
    """What an ordinary user may still write under the root."""
    found = os.statvfs(root.path)
    return found.f_bavail * found.f_frsize


def device_facts(root: DeviceRoot, clock: Clock) -> DeviceFacts:
    """How the device is now. Raises UsageError for a root that nothing prepared, or settings that cannot be read."""
    config = settings_of(root)
    now, history, pointed = clock.now(), Journal(root.journal).history(), root.pointed()
    where, pulse = device(config), read_pulse(root)
    lease = standing(read_lease(root), now, config.flashing.lease_s)
    slots = {slot: SlotFacts(release_in(history, slot), history.slots[slot].failed) for slot in SLOTS}
    return DeviceFacts(
        protocols=PROTOCOLS, edgetl=__version__, architecture=where.architecture, device=where.device,
        interpreters=where.interpreters, signatures=config.flashing.signatures, trusts=root.allowed_signers.is_file(),
        free_bytes=free_bytes(root), clock=now, current=pointed, slots=slots,
        on_trial=history.trial is not None and history.trial.slot == pointed, safe_mode=history.halted,
        last=history.last, busy=lease,
        service=pulse if pulse is not None and pulse.alive(now, config.flashing.stall_s) else None,
        step_s=config.flashing.step_s,
    )  # fmt: skip
