"""What a chip of pins offers, and how a pin is named in a line's file."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import msgspec

LineNumber = Annotated[int, msgspec.Meta(ge=0, le=1023)]
DEFAULT_CHIP = "/dev/gpiochip0"


class PinSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An output: chip and line as `gpioinfo` lists them, and whether its active level is high or low.

    Choose the level that the pin has without power as the inactive one: then a dead device is a safe one.
    """

    line: LineNumber
    chip: str = DEFAULT_CHIP
    active: Literal["high", "low"] = "high"


class EdgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An input whose edges count. The kernel leaves out those that last less than `debounce_s`."""

    line: LineNumber
    chip: str = DEFAULT_CHIP
    edge: Literal["rising", "falling"] = "rising"
    debounce_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    bias: Literal["as-is", "pull-up", "pull-down", "disabled"] = "as-is"


class OutputPin(Protocol):
    """A requested output."""

    def set(self, active: bool) -> None:
        """Drives it. Raises OSError when the chip is gone."""

    def close(self) -> None:
        """Gives it back."""


class Edges(Protocol):
    """A requested input."""

    def wait(self, timeout_s: float) -> list[float]:
        """The monotonic times of the edges since the last call; empty after `timeout_s` without one."""

    def close(self) -> None:
        """Gives it back."""


class Chip(Protocol):
    """Where pins are requested. Both raise SourceError when the pin is not there or in use."""

    def output(self, settings: PinSettings, initial: bool) -> OutputPin:
        """An output, driven to `initial` (active or not) from the first moment."""

    def edges(self, settings: EdgeSettings) -> Edges:
        """An input."""
