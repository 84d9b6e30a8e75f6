"""All outputs of a line behind one sink: the spool for those that must get every result, the rest at once."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Sequence

from edgetl.errors import MissingPartError
from edgetl.runtime.outputs.bulletin import Board
from edgetl.runtime.outputs.config import (
    Csv,
    Gpio,
    ModbusClient,
    ModbusServer,
    Mqtt,
    OpcUaServer,
    OutputConfig,
    Sqlite,
    Webhook,
    titles,
)
from edgetl.runtime.outputs.delivery import Delivery
from edgetl.runtime.outputs.forwarder import Forwarder
from edgetl.runtime.outputs.live import Live
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.spool.spool import Spool
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict, to_json

_LIBRARIES = {
    "mqtt": "paho",
    "modbus-server": "pymodbus",
    "modbus-client": "pymodbus",
    "opcua-server": "asyncua",
    "gpio": "gpiod",
}
_DRAIN_S, _STORE_S = 2.0, 2.0  # of the five seconds that a service has to stop in


class SpoolMember:
    """The spool's health beside that of the outputs."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def health(self) -> SinkHealth:
        """Whether results are kept on disk."""
        health = self._spool.health()
        return SinkHealth(
            name="spool", ok=health.ok, detail=health.detail, waiting=health.in_memory, dropped=health.dropped
        )


class Outputs:
    """Takes every verdict in the loop and never makes it wait."""

    def __init__(self, spool: Spool | None, forwarders: Sequence[Forwarder], live: Sequence[Live]) -> None:
        self._spool = spool
        self._forwarders = forwarders
        self._live = live
        for forwarder in forwarders:
            forwarder.start()
        for output in live:
            output.start()

    @property
    def members(self) -> tuple[object, ...]:
        """What has a health of its own."""
        spool = [SpoolMember(self._spool)] if self._spool is not None else []
        return (*spool, *self._forwarders, *self._live)

    @property
    def next_sequence(self) -> Callable[[], int] | None:
        """Gives numbers that outlive a restart; None without a spool."""
        return None if self._spool is None else self._spool.next_sequence

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Hands a verdict on."""
        if verdict is None:
            return
        for output in self._live:  # first: a reject gate waits for it
            output.show(verdict)
        if self._spool is not None:
            self._spool.append(verdict.sequence, verdict.verdict, to_json(verdict).encode())

    def close(self) -> None:
        """Makes controllers safe, delivers what can be delivered at once, and stores the rest: four seconds at most."""
        end = time.monotonic() + _DRAIN_S
        closing = [threading.Thread(target=output.close, args=(_DRAIN_S,), daemon=True) for output in self._live]
        for thread in closing:
            thread.start()
        if self._spool is not None:
            self._spool.flush(_DRAIN_S / 2)
        for forwarder in self._forwarders:
            forwarder.finish(max(0.0, end - time.monotonic()))
        if self._spool is not None:
            self._spool.wake()
        for thread in closing:
            thread.join(max(0.0, end - time.monotonic()))
        for forwarder in self._forwarders:
            forwarder.join(max(0.0, end - time.monotonic()))
        if self._spool is not None:
            self._spool.close(_STORE_S)


def open_outputs(outputs: tuple[OutputConfig, ...], spool: SpoolConfig, station: str, board: Board) -> Outputs:
    """Starts the outputs of a line. Raises UsageError, MissingPartError, and SourceError for a pin that cannot be had; a
    receiver that is away is no error."""
    titles(outputs)
    for output in outputs:
        require_library(output)
    live = [shown for o in outputs if (shown := live_of(o, station, board)) is not None]
    deliveries = {o.title: made for o in outputs if (made := delivery_of(o, station, board)) is not None}
    kept = Spool(spool, station, tuple(deliveries)) if deliveries else None
    forwarders = [Forwarder(name, delivery, kept) for name, delivery in deliveries.items()] if kept else []
    return Outputs(kept, forwarders, live)


def require_library(output: OutputConfig) -> None:
    """Raises MissingPartError where the client library of an output is not installed.

    It is looked for and not loaded: asyncua takes a second, which is then spent in the output's own thread.
    """
    name = _LIBRARIES.get(output.kind)
    if name is not None and importlib.util.find_spec(name) is None:
        raise MissingPartError(f"output {output.title}: {name} is not installed; run: pip install 'edgetl[line]'")


def delivery_of(output: OutputConfig, station: str, board: Board) -> Delivery | None:
    """The output's delivery, if it is one that must get every result. Raises UsageError."""
    if isinstance(output, Mqtt):
        from edgetl.runtime.outputs.mqtt import MqttDelivery

        return MqttDelivery(output, station, board.snapshot)
    if isinstance(output, Webhook):
        from edgetl.runtime.outputs.webhook import WebhookDelivery

        return WebhookDelivery(output, station)
    if isinstance(output, Csv):
        from edgetl.runtime.outputs.csv_files import CsvDelivery

        return CsvDelivery(output)
    if isinstance(output, Sqlite):
        from edgetl.runtime.outputs.sqlite_file import SqliteDelivery

        return SqliteDelivery(output)
    return None


def live_of(output: OutputConfig, station: str, board: Board) -> Live | None:
    """The output, if it is one that shows what is so now. Raises UsageError, SourceError."""
    if isinstance(output, ModbusServer):
        from edgetl.runtime.outputs.modbus_server import ModbusServerOutput

        return ModbusServerOutput(output, board)
    if isinstance(output, ModbusClient):
        from edgetl.runtime.outputs.modbus_client import ModbusClientOutput

        return ModbusClientOutput(output, board)
    if isinstance(output, OpcUaServer):
        from edgetl.runtime.outputs.opcua_server import OpcUaServerOutput

        return OpcUaServerOutput(output, station, board)
    if isinstance(output, Gpio):
        from edgetl.runtime.outputs.gpio import GpioOutput

        return GpioOutput(output, board)
    return None
