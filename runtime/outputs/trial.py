"""Tries each output of a line once, as somebody wants to who has just wired it up."""

from __future__ import annotations

import contextlib
import errno
import socket
import sqlite3
import tempfile
import time
from pathlib import Path

import msgspec

from edgetl.errors import EdgetlError, OutputError, storage
from edgetl.runtime.outputs.config import (
    Address,
    Csv,
    Gpio,
    ModbusClient,
    ModbusServer,
    Mqtt,
    OpcUaServer,
    OutputConfig,
    Sqlite,
    Webhook,
    check_address,
)
from edgetl.runtime.outputs.sink import require_library
from edgetl.runtime.status import StatusBoard

_NOBODY = 0x10  # the broker's reason code for "no matching subscribers"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How one output answered; `detail` says what it took, or why not."""

    name: str
    type: str
    address: str
    ok: bool
    detail: str
    milliseconds: float


def try_output(output: OutputConfig, station: str) -> Answer:
    """Sends a test message, or writes and removes something, where the output's results would go."""
    start = time.perf_counter()
    try:
        require_library(output)
        ok, detail = True, _tried(output, station)
    except EdgetlError as error:
        ok, detail = False, str(error).removeprefix(f"{output.where}: ")
    took = round((time.perf_counter() - start) * 1000, 1)
    return Answer(name=output.title, type=output.kind, address=output.where, ok=ok, detail=detail, milliseconds=took)


def _tried(output: OutputConfig, station: str) -> str:
    if isinstance(output, Mqtt):
        return _try_mqtt(output, station)
    if isinstance(output, Webhook):
        return _try_webhook(output, station)
    if isinstance(output, Csv):
        return _try_folder(Path(output.folder))
    if isinstance(output, Sqlite):
        return _try_sqlite(Path(output.file))
    if isinstance(output, ModbusClient):
        return _try_controller(output)
    if isinstance(output, Gpio):
        return _try_pins(output)
    return _try_port(output)


def _message(station: str) -> bytes:
    return msgspec.json.encode({"schema": 1, "device": station, "test": "edgetl outputs test"})


def _try_mqtt(output: Mqtt, station: str) -> str:
    from edgetl.runtime.outputs.mqtt_session import ACCESS, Session

    session, topic = Session(output, f"edgetl-{station}-test"), f"{output.topic}/{station}/test"
    session.connect()
    try:
        message = session.publish(topic, _message(station))
        code = session.wait_settled({message}, output.acknowledge_s)[message]
    finally:
        session.close(orderly=True)
    if code in ACCESS:
        raise OutputError(f"the broker does not let this user write to {topic}; check its access list")
    if code >= 0x80:
        raise OutputError(f"the broker did not take a message on {topic}: reason code 0x{code:02X}")
    return f"acknowledged on {topic}" + ("; nobody has subscribed to it" if code == _NOBODY else "")


def _try_webhook(output: Webhook, station: str) -> str:
    from edgetl.runtime.outputs.webhook import WebhookDelivery

    delivery = WebhookDelivery(output, station)
    delivery.open()
    try:
        status = delivery.post(_message(station), 0)
    finally:
        delivery.close()
    if not 200 <= status < 300:
        raise OutputError(f"HTTP {status}")
    return f"HTTP {status}"


def _try_folder(folder: Path) -> str:
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    return f"{folder} can be written"


def _try_sqlite(path: Path) -> str:
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5.0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE trial (value INTEGER)")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise OutputError(f"{path}: {error}") from error
    return f"{path} can be written"


def _try_controller(output: ModbusClient) -> str:
    from edgetl.runtime.outputs.modbus_client import ModbusClientOutput

    ModbusClientOutput(output, StatusBoard()).write_safe_state()
    return f"wrote the safe state `{output.safe_state}` to coils and registers"


def _try_pins(output: Gpio) -> str:
    from edgetl.runtime.pins.gpio import GpioChip
    from edgetl.runtime.pins.safe_levels import drive_safe

    if troubles := [pin.trouble for pin in drive_safe(output.safe_levels, GpioChip()) if pin.trouble]:
        raise OutputError(troubles[0])
    return f"{len(output.pins)} pins can be driven, and are in their safe state"


def _try_port(output: ModbusServer | OpcUaServer) -> str:
    address = check_address(output.address, {"tcp": 502, "opc.tcp": 4840})
    try:
        socket.create_server((address.host, address.port)).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_answered(address):
            return "the port answers already: the line runs, or another program has it"
        raise OutputError(f"the port cannot be opened: {(error.strerror or str(error)).lower()}") from error
    return "the port can be opened"


def _is_answered(address: Address) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address.host, address.port), 2.0):
        return True
    return False
