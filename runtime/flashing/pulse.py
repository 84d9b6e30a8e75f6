"""How the running service is, in a small file that it writes twice a second and the flash reads."""

from __future__ import annotations

import msgspec

from edgetl.errors import storage
from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.layout import DeviceRoot, Slot

PERIOD_S = 0.5


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One beat. `slot` and `sha256` are None in safe mode. Ages in seconds, None while there was none yet;
    `latency_ms` from a frame's arrival to its verdict at p90, if known."""

    at: Moment
    pid: int
    slot: Slot | None
    sha256: str | None
    uptime_s: float = 0.0
    frames: int = 0
    judged: int = 0
    faults: int = 0
    frame_age_s: float | None = None
    latency_ms: float | None = None
    part_in_view: bool = False
    error: str | None = None

    def alive(self, now: Moment, stall_s: float) -> bool:
        """Whether it was written in this boot and not long ago."""
        return self.at.boot == now.boot and now.boot_s - self.at.boot_s <= stall_s

    def sees(self, stall_s: float) -> bool:
        """Whether frames come."""
        return self.frame_age_s is not None and self.frame_age_s <= stall_s


def read_pulse(root: DeviceRoot) -> Pulse | None:
    """The last beat, if the service ever wrote one that can be read."""
    try:
        return msgspec.json.decode(root.pulse.read_bytes(), type=Pulse)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def write_pulse(root: DeviceRoot, pulse: Pulse) -> None:
    """Replaces the last beat. Not synced: it is worth nothing after a power cut. Raises StorageError."""
    temporary = root.pulse.with_suffix(".new")
    with storage(root.pulse):
        temporary.write_bytes(msgspec.json.encode(pulse))
        temporary.replace(root.pulse)
