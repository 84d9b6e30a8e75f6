"""Digital inputs and outputs of the device: one protocol, and libgpiod behind it."""

from edgetl.runtime.pins.base import Chip, Edges, OutputPin, PinSettings

__all__ = ["Chip", "Edges", "OutputPin", "PinSettings"]
