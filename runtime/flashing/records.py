"""What the journal holds: one record for each thing that happened."""

from __future__ import annotations

from typing import Annotated, Union

import msgspec

from edgetl.runtime.flashing.clock import Moment
from edgetl.runtime.flashing.layout import Slot


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A release as a device knows it. `sha256` and `size` (bytes) are of the whole file; `number` orders releases."""

    sha256: str
    manifest_sha256: str
    size: int
    name: str
    number: int
    signer: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="what"):
    """One line of the journal."""

    at: Moment


class Begun(Entry, frozen=True, kw_only=True, tag="begun"):
    """A flash was admitted; its upload may begin."""

    release: Installed
    owner: str


class Rehearsed(Entry, frozen=True, kw_only=True, tag="rehearsed"):
    """The staged release gave its golden answers here, in time. Milliseconds at p90, if they were measured."""

    sha256: str
    latency_ms: float | None
    notes: tuple[str, ...] = ()


class Refused(Entry, frozen=True, kw_only=True, tag="refused"):
    """A flash ended before anything that runs was changed."""

    sha256: str
    code: str
    reason: str


class Filling(Entry, frozen=True, kw_only=True, tag="filling"):
    """About to move a release into a slot: until `filled`, the slot holds its old release or this one."""

    slot: Slot
    release: Installed


class Filled(Entry, frozen=True, kw_only=True, tag="filled"):
    """A slot holds a release."""

    slot: Slot
    release: Installed


class Activating(Entry, frozen=True, kw_only=True, tag="activating"):
    """About to point `current` to a slot, on trial; `previous` runs again if it fails."""

    slot: Slot
    previous: Slot | None
    trial_s: float


class Committed(Entry, frozen=True, kw_only=True, tag="committed"):
    """A trial was passed."""

    slot: Slot
    reason: str


class Returning(Entry, frozen=True, kw_only=True, tag="returning"):
    """About to point `current` back to `slot`. `failed`: `left` is not to run again until it is filled anew."""

    slot: Slot
    left: Slot
    reason: str
    failed: bool


class Halted(Entry, frozen=True, kw_only=True, tag="halted"):
    """No slot can be trusted: the service goes into safe mode until something new is flashed."""

    left: Slot | None
    reason: str


class Started(Entry, frozen=True, kw_only=True, tag="started"):
    """The service started; `slot` is None in safe mode."""

    slot: Slot | None
    pid: int


class Stopped(Entry, frozen=True, kw_only=True, tag="stopped"):
    """The service ended on purpose. A start that follows no stop in the same boot follows a crash."""

    pid: int


AnyEntry = Annotated[
    Union[  # noqa: UP007 - msgspec wants the union as a value
        Begun, Rehearsed, Refused, Filling, Filled, Activating, Committed, Returning, Halted, Started, Stopped
    ],
    msgspec.Meta(title="a line of the journal"),
]
