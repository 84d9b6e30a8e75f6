"""A part announced by a coil that a PLC sets, read over Modbus TCP."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from edgetl.runtime.parts.settings import ModbusTrigger
from edgetl.runtime.triggers.base import Inbox, Trigger

_TIMEOUT_S = 1.0
_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0)  # before each further try to reach a PLC that is away


class ModbusCoil(Trigger):
    """Polls the coil; its rise announces a part, and with `acknowledge` it is then set back.

    What rises and falls between two polls is not seen; hence the acknowledgement, for which a PLC can wait.
    """

    def __init__(self, settings: ModbusTrigger, inbox: Inbox) -> None:
        from pymodbus.client import ModbusTcpClient

        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it would log each try; `trouble` tells
        self._settings = settings
        self._inbox = inbox
        self._client: Any = ModbusTcpClient(settings.host, port=settings.port, timeout=_TIMEOUT_S, retries=0)
        self.trouble = f"not connected to {settings.host}:{settings.port} yet"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the polling."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        was, failed = True, 0  # a coil that is set at the start was set for a part before our time
        while not self._stop.wait(self._settings.poll_s if not failed else _PAUSES_S[min(failed, len(_PAUSES_S)) - 1]):
            try:
                now = self._read()
            except Exception as error:  # pymodbus raises its own, OSError and more while a PLC is away
                self.trouble = f"the PLC at {self._settings.host}:{self._settings.port} does not answer: {error}"
                self._client.close()
                failed += 1
                continue
            self.trouble, failed = "", 0
            if now and not was:
                self._inbox.put(time.monotonic())
            was = now and not self._acknowledged(now)

    def _read(self) -> bool:
        if not self._client.connected and not self._client.connect():
            raise ConnectionError("no connection")
        answer = self._client.read_coils(self._settings.coil, count=1, device_id=self._settings.unit)
        return bool(_good(answer).bits[0])

    def _acknowledged(self, is_set: bool) -> bool:
        """Sets the coil back; if that fails it stays known as set, so that one rise is never two parts."""
        if not (is_set and self._settings.acknowledge):
            return False
        try:
            _good(self._client.write_coil(self._settings.coil, False, device_id=self._settings.unit))
        except Exception as error:  # as above
            self.trouble = f"coil {self._settings.coil} cannot be set back: {error}"
            return False
        return True


def _good(answer: Any) -> Any:
    if answer.isError():
        raise ConnectionError(str(answer))
    return answer
