"""Signals from outside, from the real thing where there is one: an HTTP client, a Mosquitto broker, a Modbus server."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.errors import SourceError, UsageError
from edgetl.runtime.parts.settings import GpioTrigger, HttpTrigger, ModbusTrigger, MqttTrigger
from edgetl.runtime.triggers.base import Inbox
from edgetl.runtime.triggers.gpio import GpioSignals
from edgetl.runtime.triggers.http import HttpRequests
from tests.runtime.fake_chip import FakeChip
from tests.runtime.waiting import until


def test_inbox_gives_times_in_order_once() -> None:
    inbox = Inbox()
    for at_s in (3.0, 1.0, 2.0):
        inbox.put(at_s)
    assert (inbox.take(), inbox.take(), inbox.heard) == ([1.0, 2.0, 3.0], [], 3)


def test_edges_of_a_pin_keep_their_own_times() -> None:
    chip, inbox = FakeChip(), Inbox()
    signals = GpioSignals(GpioTrigger(line=3), inbox, chip)
    for at_s in (10.0, 10.5):
        chip.inputs[3].edge(at_s)
    until(lambda: inbox.heard == 2)
    assert inbox.take() == [10.0, 10.5]
    signals.close()
    assert chip.inputs[3].closed


def test_pin_that_goes_away_is_told() -> None:
    chip = FakeChip()
    signals = GpioSignals(GpioTrigger(line=3), Inbox(), chip)
    chip.inputs[3].break_off()
    until(lambda: not signals.health().ok)
    assert "gone" in signals.health().detail
    signals.close()


def post(port: int, path: str = "/trigger", method: str = "POST", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_http_post_is_a_signal() -> None:
    inbox = Inbox()
    requests = HttpRequests(HttpTrigger(port=0), inbox)
    before = time.monotonic()
    assert [post(requests.port) for _ in range(3)] == [202] * 3
    after = time.monotonic()
    assert post(requests.port, "/other") == 404
    assert post(requests.port, method="GET") == 501
    requests.close()
    times = inbox.take()
    assert len(times) == 3 and before <= times[0] <= times[2] <= after


def test_http_token_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINE_TOKEN", "s3cret")
    inbox = Inbox()
    requests = HttpRequests(HttpTrigger(port=0, token_env="LINE_TOKEN"), inbox)
    assert post(requests.port) == 401
    assert post(requests.port, Authorization="Bearer wrong") == 401
    assert inbox.take() == []
    assert post(requests.port, Authorization="Bearer s3cret") == 202
    requests.close()
    assert len(inbox.take()) == 1


def test_http_misuse_is_refused_at_the_start() -> None:
    with pytest.raises(UsageError, match="token_env"):
        HttpTrigger(host="0.0.0.0")
    with pytest.raises(UsageError, match="not set"):
        HttpRequests(HttpTrigger(port=0, token_env="EDGETL_NO_SUCH_TOKEN"), Inbox())
    taken = HttpRequests(HttpTrigger(port=0), Inbox())
    with pytest.raises(SourceError, match=f"127.0.0.1:{taken.port}"):
        HttpRequests(HttpTrigger(port=taken.port), Inbox())
    taken.close()


@contextmanager
def mosquitto(port: int, folder: Path) -> Iterator[None]:
    """The real broker on loopback."""
    program = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)
    if program is None:
        pytest.skip("needs Mosquitto: make system")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    with subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        try:
            yield
        finally:
            broker.terminate()


def test_mqtt_message_is_a_signal_and_a_broker_may_come_late_and_go(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt", reason="needs edgetl[line]")
    from paho.mqtt import publish

    from edgetl.runtime.triggers.mqtt import MqttMessages

    port, inbox = free_port(), Inbox()
    messages = MqttMessages(MqttTrigger(topic="cell/part", port=port), inbox)
    assert "not connected" in messages.trouble
    try:
        for heard in (2, 4):
            with mosquitto(port, tmp_path):
                until(lambda: not messages.trouble, "connected")

                def arrives(heard: int = heard) -> bool:
                    """Published until the subscription stands, then once more: never lost, never counted twice."""
                    publish.single("cell/part", b"", qos=1, hostname="127.0.0.1", port=port)
                    return inbox.heard >= heard

                until(arrives)
            until(lambda: messages.trouble, "loss is noticed")
    finally:
        messages.close()


def test_retained_mqtt_message_is_no_part(tmp_path: Path) -> None:
    """A retained message comes first after the subscription; the first signal is the other message's."""
    pytest.importorskip("paho.mqtt", reason="needs edgetl[line]")
    from paho.mqtt import publish

    from edgetl.runtime.triggers.mqtt import MqttMessages

    port, inbox = free_port(), Inbox()
    with mosquitto(port, tmp_path):
        until(lambda: not _refused(port))
        publish.single("cell/part", b"old", qos=1, retain=True, hostname="127.0.0.1", port=port)
        messages = MqttMessages(MqttTrigger(topic="cell/#", port=port), inbox)
        until(lambda: not messages.trouble, "connected")
        sent = 0
        while not inbox.heard:
            publish.single("cell/other", b"new", qos=1, hostname="127.0.0.1", port=port)
            sent += 1
            time.sleep(0.2)
        time.sleep(0.5)
        messages.close()
    assert inbox.heard <= sent


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return True
    return False


class Plc:
    """A real Modbus TCP server with eight coils, on a thread of its own."""

    def __init__(self, port: int) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        self._loop = asyncio.new_event_loop()
        bits = [SimData(0, values=[False] * 8, datatype=DataType.BITS)]
        device = SimDevice(1, (bits, bits, [SimData(0)], [SimData(0)]))
        self._server: ModbusTcpServer | None = None
        started = threading.Event()

        async def serve() -> None:
            self._server = ModbusTcpServer(device, address=("127.0.0.1", port))
            started.set()
            await self._server.serve_forever()

        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(serve()), daemon=True)
        self._thread.start()
        assert started.wait(20)

    def close(self) -> None:
        assert self._server is not None
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(20)
        self._thread.join(20)


def test_coil_is_a_signal_and_is_acknowledged() -> None:
    pytest.importorskip("pymodbus", reason="needs edgetl[line]")
    from pymodbus.client import ModbusTcpClient

    from edgetl.runtime.triggers.modbus import ModbusCoil

    port, inbox = free_port(), Inbox()
    coil = ModbusCoil(ModbusTrigger(host="127.0.0.1", port=port, coil=3, poll_s=0.01), inbox)
    until(lambda: "does not answer" in coil.trouble, "a PLC that is away is told")
    plc = Plc(port)
    try:
        client = ModbusTcpClient("127.0.0.1", port=port)
        until(client.connect)
        until(lambda: not coil.trouble)
        for part in range(1, 6):
            client.write_coil(3, True, device_id=1)
            until(lambda: not client.read_coils(3, count=1, device_id=1).bits[0], "acknowledged")
            assert inbox.heard == part
        client.write_coil(2, True, device_id=1)
        time.sleep(0.1)
        client.close()
    finally:
        coil.close()
        plc.close()
    assert inbox.heard == 5
