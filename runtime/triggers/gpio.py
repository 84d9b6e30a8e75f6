"""A part announced by an edge on an input pin: a light barrier, a proximity switch, a PLC's output."""

from __future__ import annotations

from edgetl.runtime.parts.settings import GpioTrigger
from edgetl.runtime.pins.base import Chip, EdgeSettings
from edgetl.runtime.pins.reader import EdgeReader
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.triggers.base import Inbox, Trigger


class GpioSignals(Trigger):
    """Hands the edges' times to the inbox as the kernel noted them."""

    def __init__(self, settings: GpioTrigger, inbox: Inbox, chip: Chip | None = None) -> None:
        if chip is None:
            from edgetl.runtime.pins.gpio import GpioChip

            chip = GpioChip()
        asked = EdgeSettings(
            line=settings.line, chip=settings.chip, edge=settings.edge,
            debounce_s=settings.debounce_s, bias=settings.bias,
        )  # fmt: skip
        self._reader = EdgeReader(chip.edges(asked), inbox.extend)

    def health(self) -> SinkHealth:
        """Whether the pin is there."""
        self.trouble = self._reader.trouble
        return super().health()

    def close(self) -> None:
        """Gives the pin back."""
        self._reader.close()
