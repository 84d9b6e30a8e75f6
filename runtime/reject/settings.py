"""The section `reject` of a line's file."""

from __future__ import annotations

from typing import Annotated

import msgspec

from edgetl.errors import UsageError
from edgetl.runtime.pins.base import EdgeSettings, PinSettings
from edgetl.runtime.verdict import VerdictKind


class EncoderSettings(EdgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pin on which the belt's encoder counts, and how many counts it is from camera to pusher."""

    distance: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    tolerance: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 5


class ReadySettings(PinSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An output that is active while the line inspects: its newest frame went through the whole loop, not long ago,
    and could be trusted. Inactive else, and after its end.

    With `toggle_s` it changes level that often instead, for a PLC that watches for life: only that also tells of a
    device that died with the pin still driven.
    """

    toggle_s: Annotated[float, msgspec.Meta(ge=0.01, le=60)] | None = None


class RejectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pulse of `pulse_s` for each part whose verdict is among `on`: `delay_s` after its signal, or by `encoder`.

    A verdict that comes more than `tolerance_s` (or the encoder's `tolerance`) too late does not fire, since another
    part is there by then; it is counted and told. `safe` is the pin's state while the line does not inspect.
    """

    pin: PinSettings
    on: tuple[VerdictKind, ...] = ("NG", "UNKNOWN", "FAULT")
    pulse_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.05
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    tolerance_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.02
    encoder: EncoderSettings | None = None
    ready: ReadySettings | None = None
    safe: bool = False
    """Whether the pin is active while nothing inspects: True where the pusher then turns everything away."""

    @property
    def safe_levels(self) -> tuple[tuple[PinSettings, bool], ...]:
        """Each pin, and whether it is active while nothing inspects."""
        return ((self.pin, self.safe), *([(self.ready, False)] if self.ready is not None else []))

    def __post_init__(self) -> None:
        if (self.delay_s is None) == (self.encoder is None):
            raise UsageError("reject: give either delay_s or encoder: the way from the camera to the pusher")
