"""Pins of the Linux kernel's GPIO character devices, through libgpiod's own Python package."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from edgetl.errors import SourceError
from edgetl.runtime.pins.base import EdgeSettings, PinSettings

_CONSUMER = "edgetl"


class GpioChip:
    """All chips of this machine; a pin names its own."""

    def output(self, settings: PinSettings, initial: bool) -> GpioOutput:
        """An output, driven to `initial` with the request itself. Raises SourceError, MissingPartError."""
        import gpiod
        from gpiod.line import Direction, Value

        values = (Value.INACTIVE, Value.ACTIVE)
        asked = gpiod.LineSettings(
            direction=Direction.OUTPUT, active_low=settings.active == "low", output_value=values[initial]
        )
        return GpioOutput(_requested(settings.chip, settings.line, asked), settings.line, values)

    def edges(self, settings: EdgeSettings) -> GpioEdges:
        """An input. Raises SourceError, MissingPartError."""
        import gpiod
        from gpiod.line import Bias, Direction, Edge

        bias = {"as-is": Bias.AS_IS, "pull-up": Bias.PULL_UP, "pull-down": Bias.PULL_DOWN, "disabled": Bias.DISABLED}
        asked = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.RISING if settings.edge == "rising" else Edge.FALLING,
            debounce_period=timedelta(seconds=settings.debounce_s),
            bias=bias[settings.bias],
        )
        return GpioEdges(_requested(settings.chip, settings.line, asked))


class GpioOutput:
    """One output line."""

    def __init__(self, request: Any, line: int, values: tuple[Any, Any]) -> None:
        self._request, self._line, self._values = request, line, values

    def set(self, active: bool) -> None:
        """Drives it."""
        self._request.set_value(self._line, self._values[active])

    def close(self) -> None:
        """Gives it back to the kernel, which leaves its level as it is on most chips."""
        self._request.release()


class GpioEdges:
    """One input line; the kernel stamps its edges on the monotonic clock."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def wait(self, timeout_s: float) -> list[float]:
        """The times of the edges since the last call."""
        if not self._request.wait_edge_events(timedelta(seconds=timeout_s)):
            return []
        return [event.timestamp_ns / 1e9 for event in self._request.read_edge_events()]

    def close(self) -> None:
        """Gives it back."""
        self._request.release()


def _requested(chip: str, line: int, settings: Any) -> Any:
    import gpiod

    try:
        return gpiod.request_lines(chip, consumer=_CONSUMER, config={line: settings})
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{chip}, line {line}: {reason}; see `gpioinfo`, and that nothing else uses it") from error
