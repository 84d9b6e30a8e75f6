"""Opens the gate that the `trigger` section of a line's file asks for."""

from __future__ import annotations

from edgetl.errors import UsageError
from edgetl.runtime.parts.gate import Gate, OpenGate, OutsideGate, SourceGate, TimerGate
from edgetl.runtime.parts.presence import PictureGate
from edgetl.runtime.parts.settings import (
    EveryFrame,
    GpioTrigger,
    ModbusTrigger,
    MqttTrigger,
    OutsideTrigger,
    PictureTrigger,
    SourceTrigger,
    TimerTrigger,
    TriggerSettings,
)
from edgetl.runtime.sources.base import Source
from edgetl.runtime.triggers.base import Inbox, Trigger


def open_gate(settings: TriggerSettings | None, source: Source) -> tuple[Gate | None, Trigger | None]:
    """The gate, None for the source's own; and what signals to it from outside, to be closed after the run.

    Raises UsageError, SourceError (a pin or port that cannot be had) and MissingPartError.
    """
    if settings is None:
        return None, None
    if isinstance(settings, EveryFrame):
        return OpenGate(numbered=True), None
    if isinstance(settings, SourceTrigger):
        if not source.triggered:
            raise UsageError(f"trigger: {source.name} does not say when a part is in place; choose another type")
        return SourceGate(settings), None
    if isinstance(settings, TimerTrigger):
        return TimerGate(settings), None
    if isinstance(settings, PictureTrigger):
        return PictureGate(settings), None
    inbox = Inbox()
    return OutsideGate(settings, inbox.take), _open(settings, inbox)


def _open(settings: OutsideTrigger, inbox: Inbox) -> Trigger:
    """Imports only what the one type needs: the libraries are optional."""
    if isinstance(settings, GpioTrigger):
        from edgetl.runtime.triggers.gpio import GpioSignals

        return GpioSignals(settings, inbox)
    if isinstance(settings, MqttTrigger):
        from edgetl.runtime.triggers.mqtt import MqttMessages

        return MqttMessages(settings, inbox)
    if isinstance(settings, ModbusTrigger):
        from edgetl.runtime.triggers.modbus import ModbusCoil

        return ModbusCoil(settings, inbox)
    from edgetl.runtime.triggers.http import HttpRequests

    return HttpRequests(settings, inbox)
