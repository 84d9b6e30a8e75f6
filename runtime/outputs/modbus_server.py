"""The line as a Modbus TCP device that controllers read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from edgetl.errors import OutputError
from edgetl.runtime.outputs.bulletin import Board, Bulletin
from edgetl.runtime.outputs.config import ModbusServer, check_address
from edgetl.runtime.outputs.event_loop import ServerThread
from edgetl.runtime.outputs.registers import REGISTERS
from edgetl.runtime.status import SinkHealth
from edgetl.runtime.verdict import Verdict

_HEARTBEAT_S = 1.0
_READ_BITS, _READ_WORDS = (1, 2), (3, 4)  # function codes: coils and discrete inputs, holding and input registers


class ModbusServerOutput:
    """Answers every read with what is so at that moment; takes no writes."""

    def __init__(self, config: ModbusServer, board: Board) -> None:
        self._config = config
        self._address = check_address(config.address, {"tcp": 502})
        self._bulletin = Bulletin(board, config.safe_state)
        self._thread = ServerThread(config.title, self._serve)

    def start(self) -> None:
        """Opens the port."""
        self._thread.start()

    def show(self, verdict: Verdict) -> None:
        """The next read gives it."""
        self._bulletin.show(verdict)

    def health(self) -> SinkHealth:
        """Whether the port is open."""
        return self._thread.health()

    def close(self, timeout_s: float) -> None:
        """Shows the safe state, then closes the port: a controller that reads no more has to take it as safe too."""
        self._bulletin.end()
        self._thread.close(timeout_s)

    @contextlib.asynccontextmanager
    async def _serve(self, stop: asyncio.Event) -> AsyncIterator[None]:
        from pymodbus.server import ModbusTcpServer

        server = ModbusTcpServer(self._device(), address=(self._address.host, self._address.port))
        await _listen(server, self._config.where)
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await server.shutdown()  # type: ignore[no-untyped-call]

    def _device(self) -> Any:
        from pymodbus.simulator import DataType, SimData, SimDevice

        flags = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        words = [SimData(0, values=[0] * REGISTERS, datatype=DataType.REGISTERS)]
        return SimDevice(self._config.unit, simdata=(flags, flags, words, words), action=self._answer)

    async def _answer(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        written: list[int] | list[bool] | None,
    ) -> Any:
        from pymodbus.constants import ExcCodes

        if written is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        if function in _READ_BITS:
            current[0] = sum(1 << at for at, bit in enumerate(self._bulletin.bits()) if bit)
        elif function in _READ_WORDS:
            current[:] = self._bulletin.registers()[start : start + len(current)]
        return None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            self._bulletin.beat()


async def _listen(server: Any, where: str) -> None:
    if not await server.listen():
        raise OutputError(f"{where}: the port cannot be opened; is it in use, or below 1024 without the right to it?")
