"""A controller on loopback, as `modbus-client` writes into one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any


class Controller:
    """A controller with 100 coils and 100 holding registers, that can be switched off and on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.coils: list[list[bool]] = []  # every write, as it came
        self.words: list[int] = [0] * 100
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server: Any = None

    async def _take(
        self, function: int, start: int, address: int, count: int, current: list[int], written: Any
    ) -> None:
        if written is not None and function == 15:
            self.coils.append(list(written))
        elif written is not None:
            self.words[address : address + len(written)] = written

    def on(self) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        async def start() -> Any:
            flags, words = (
                [SimData(0, values=[False] * 112, datatype=DataType.BITS)],
                [SimData(0, values=[0] * 100, datatype=DataType.REGISTERS)],
            )
            server = ModbusTcpServer(
                SimDevice(7, simdata=(flags, flags, words, words), action=self._take), address=("127.0.0.1", self.port)
            )
            assert await server.listen()
            return server

        self._server = asyncio.run_coroutine_threadsafe(start(), self._loop).result(20)

    def off(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(20)
