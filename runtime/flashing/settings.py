"""What is fixed for a device's flashing; each figure a limit."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

RESTART_S = 60.0  # that the command `restart` may take
_READING_S = 60.0  # for hashes and signatures, on a slow card

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]


class FlashSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `flashing` of a device's settings.

    `signatures`: whether a release must carry one of an allowed signer. `device`: the name that a release's list of
    devices is compared with. `restart`: a command for a service that does not itself notice a new slot; most need none.
    `trial_s`: how long a release must run well before it is committed. `takeover_s`: within it the service must run
    the new release. `defer_s`: how long a part in view may put the swap off. `stall_s`: silence of the service, or of
    a camera that gave frames before, that fails a trial. `rehearsal_s`, `rehearsal_memory_mb`: what the child that loads a
    new model first may take. `lease_s`: silence after which another workstation may take over. `spare_mb`: space that
    a flash leaves free. `max_crashes` within `crash_window_s` send the service back to the other slot.
    """

    signatures: Literal["required", "off"] = "required"
    device: str | None = None
    restart: tuple[str, ...] = ()
    trial_s: Seconds = 60.0
    takeover_s: Seconds = 60.0
    defer_s: Seconds = 30.0
    stall_s: Seconds = 10.0
    rehearsal_s: Seconds = 120.0
    rehearsal_memory_mb: Annotated[int, msgspec.Meta(ge=64, le=1 << 20)] = 2048
    lease_s: Seconds = 120.0
    spare_mb: Annotated[float, msgspec.Meta(ge=0)] = 16.0
    max_crashes: Annotated[int, msgspec.Meta(ge=1, le=60)] = 4
    crash_window_s: Seconds = 1800.0

    @property
    def step_s(self) -> float:
        """The longest that a step of a flash takes here: a rehearsal; or waiting for a part to leave, for the service
        to take the release, the trial, and the way back."""
        activation = self.defer_s + self.trial_s + 3 * self.takeover_s + 2 * RESTART_S
        return max(self.rehearsal_s, activation) + _READING_S
