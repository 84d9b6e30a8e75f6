"""Writes every verdict into a controller, as it is said."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edgetl.errors import OutputError
from edgetl.runtime.outputs.bulletin import Board, Bulletin
from edgetl.runtime.outputs.config import ModbusClient, check_address
from edgetl.runtime.outputs.pacing import as_output_error, pause_s
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict

_log = logging.getLogger("edgetl.outputs")
_LOOK_S = 0.2  # how soon the controller hears that the line is ready, or is not any more, between two verdicts
_WAITING = 32  # verdicts that may wait for a slow controller; older ones concern parts that have passed


class ModbusClientOutput:
    """The first five bits of the map as coils, the first twelve registers as holding registers.

    Registers go first: when the `toggle` coil changes, they belong to the verdict that it announces.
    """

    def __init__(self, config: ModbusClient, board: Board) -> None:
        self._config = config
        self._bulletin = Bulletin(board, config.safe_state)
        self._changed = threading.Condition()
        self._waiting: deque[Verdict] = deque()
        self._stopping = False
        self._delivered = self._dropped = 0
        self._ready = False
        self._trouble = "not connected yet"
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name=f"output {config.title}", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def show(self, verdict: Verdict) -> None:
        """Has a verdict written; the oldest that waits goes when there are too many."""
        with self._changed:
            if len(self._waiting) == _WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(verdict)
            self._changed.notify_all()

    def health(self) -> SinkHealth:
        """Whether the controller answers."""
        with self._changed:
            return SinkHealth(name=self._config.title, ok=not self._trouble, detail=self._trouble, waiting=len(self._waiting),
                              delivered=self._delivered, dropped=self._dropped)  # fmt: skip

    def close(self, timeout_s: float) -> None:
        """Writes the safe state and ends."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                self._open()
                self._write()
                failures = 0
                self._write_all()
            except Exception as error:
                failures += 1
                trouble = as_output_error(error)
                self._failed(trouble)
                self._pause(pause_s(trouble, failures, random.random()))
        with contextlib.suppress(OutputError):
            self.write_safe_state()

    def write_safe_state(self) -> None:
        """Connects, writes the safe state and hangs up. Raises OutputError."""
        self._bulletin.end()
        try:
            self._open()
            self._write()
        finally:
            self._client.close()

    def _open(self) -> None:
        from pymodbus.client import ModbusTcpClient

        address = check_address(self._config.address, {"tcp": 502})
        if self._client is None:
            logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it would log every try; health tells
            self._client = ModbusTcpClient(address.host, port=address.port, timeout=self._config.timeout_s, retries=0)
        if not self._client.connected and not self._client.connect():
            raise OutputError(f"{self._config.where}: no connection; check the address, the network and the controller")
        with self._changed:
            self._trouble = ""

    def _write_all(self) -> None:
        """Writes verdicts as they come, and between them the heartbeat and whether the line is ready. Raises OutputError."""
        due_s = time.monotonic() + self._config.heartbeat_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping, min(_LOOK_S, self._config.heartbeat_s))
                if self._stopping and not self._waiting:
                    return
                verdict = self._waiting.popleft() if self._waiting else None
            if verdict is not None:
                self._bulletin.show(verdict)
            elif time.monotonic() < due_s and self._bulletin.notice().ready == self._ready:
                continue
            self._bulletin.beat()
            self._write()
            due_s = time.monotonic() + self._config.heartbeat_s
            if verdict is not None:
                with self._changed:
                    self._delivered += 1

    def _write(self) -> None:
        config, client, bulletin = self._config, self._client, self._bulletin
        self._ready = bulletin.notice().ready
        self._done(
            lambda: client.write_registers(config.register, bulletin.head(), device_id=config.unit),
            "register",
            config.register,
        )
        self._done(
            lambda: client.write_coils(config.coil, list(bulletin.bits()), device_id=config.unit), "coil", config.coil
        )

    def _done(self, write: Callable[[], Any], what: str, address: int) -> None:
        from pymodbus.exceptions import ModbusException

        try:
            answer = write()
        except (ModbusException, OSError) as error:
            raise OutputError(f"{self._config.where}: does not answer: {error}") from error
        if answer.isError():
            raise OutputError(f"{self._config.where}: refused to write {what} {address}: {answer}")

    def _failed(self, error: OutputError) -> None:
        self._client.close()
        with self._changed:
            # What waited concerns parts that have passed by the time that the controller is back; the newest stays.
            self._dropped += max(0, len(self._waiting) - 1)
            while len(self._waiting) > 1:
                self._waiting.popleft()
            if str(error) != self._trouble:
                _log.warning("%s: %s", self._config.title, error)
            self._trouble = str(error)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)
