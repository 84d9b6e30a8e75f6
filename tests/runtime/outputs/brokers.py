"""Brokers: Mosquitto as plants run it, and small ones that do not keep their side of the protocol."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetl.benchmarks.ports import free_port

DEADLINE_S = 30.0


def eventually(what: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Asks until the answer is true; fails when it never is."""
    end = time.monotonic() + deadline_s
    while True:
        if answer := what():
            return answer
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def needs(program: str) -> None:
    """Skips the test where a program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: make system")


class Mosquitto:
    """A real broker on this machine, that can be killed, frozen and started again under the same port."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true") -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            pytest.skip("needs Mosquitto: make system")
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        self._file.write_text(f"user root\nlistener {self.port} 127.0.0.1\n{settings}\n")
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", self._file], stderr=subprocess.DEVNULL)

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        eventually(answers)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def mosquitto(folder: Path, settings: str = "allow_anonymous true") -> Iterator[Mosquitto]:
    broker = Mosquitto(folder, settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


class Listener:
    """A subscriber that keeps everything; comes back by itself when the broker does."""

    def __init__(self, broker: Mosquitto, topic: str = "#", **login: str) -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        self.got: list[tuple[str, bytes, bool]] = []
        self.ready = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        client.on_connect = lambda c, *_: c.subscribe(topic, qos=1)
        client.on_subscribe = lambda *_: self.ready.set()
        client.on_message = lambda c, u, m: self.got.append((m.topic, m.payload, m.retain))
        client.reconnect_delay_set(0.1, 1)
        if login:
            client.username_pw_set(**login)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        self._client = client
        assert self.ready.wait(DEADLINE_S)

    def of(self, ending: str) -> list[dict[str, Any]]:
        """The messages on topics that end so."""
        return [json.loads(payload) for topic, payload, _ in list(self.got) if topic.endswith(ending)]

    def numbers(self) -> list[int]:
        """The sequence numbers of the results, as they came."""
        return [m["sequence"] for m in self.of("/result")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def listening(broker: Mosquitto, topic: str = "#", **login: str) -> Iterator[Listener]:
    listener = Listener(broker, topic, **login)
    try:
        yield listener
    finally:
        listener.close()


class Stub:
    """A server that talks just enough MQTT 5 to misbehave. `answer` is given each packet and may reply on the socket."""

    def __init__(self, answer: Callable[[socket.socket, int, bytes], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self._taken: list[socket.socket] = []
        self.connections: list[float] = []  # when, on the monotonic clock
        self.address = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections.append(time.monotonic())
                self._taken.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, IndexError), connection:
            stream = connection.makefile("rb")
            while head := stream.read(1):
                self._answer(connection, head[0], stream.read(_length(stream)))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._taken:
            with contextlib.suppress(OSError):
                connection.close()


def _length(stream: Any) -> int:
    value, shift = 0, 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


CONNECT, PUBLISH, PING = 0x10, 0x30, 0xC0


def connack(connection: socket.socket, reason: int = 0, properties: bytes = b"") -> None:
    connection.sendall(bytes([0x20, 3 + len(properties), 0, reason, len(properties)]) + properties)


def puback(connection: socket.socket, message: int, reason: int = 0) -> None:
    connection.sendall(bytes([0x40, 3]) + message.to_bytes(2, "big") + bytes([reason]))


def published(head: int, body: bytes) -> tuple[str, int, bool, bytes]:
    """Topic, message id (0 for QoS 0), whether it is marked a duplicate, and the payload of a PUBLISH."""
    size = int.from_bytes(body[:2], "big")
    at, message = 2 + size, 0
    if head & 0x06:
        message, at = int.from_bytes(body[at : at + 2], "big"), at + 2
    return body[2 : 2 + size].decode(), message, bool(head & 0x08), body[at + 1 + body[at] :]


@contextlib.contextmanager
def stub(answer: Callable[[socket.socket, int, bytes], None]) -> Iterator[Stub]:
    server = Stub(answer)
    try:
        yield server
    finally:
        server.close()


class Cable:
    """A TCP connection to a port that can be pulled and plugged in again, so that only one side loses the broker."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[socket.socket] = []
        self._plugged = True
        self.bytes_up = 0
        self.cut_after: int | None = None  # pull it after so many bytes from the client
        self.address = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                if not self._plugged:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._pairs += [near, far]
                threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                if up:
                    self.bytes_up += len(data)
                    if self.cut_after is not None and self.bytes_up > self.cut_after:
                        self.cut_after = None
                        self.pull()
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pull(self) -> None:
        self._plugged = False
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._pairs.clear()

    def plug(self) -> None:
        self._plugged = True

    def close(self) -> None:
        self.pull()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def cable(broker: Mosquitto) -> Iterator[Cable]:
    line = Cable(broker.port)
    try:
        yield line
    finally:
        line.close()
