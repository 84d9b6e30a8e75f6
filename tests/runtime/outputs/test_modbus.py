"""Modbus TCP: the register map as a controller reads it, and what is written into a controller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.outputs.config import ModbusClient, ModbusServer
from edgetl.runtime.outputs.registers import BITS, HEAD, REGISTERS, bits, head, registers
from edgetl.runtime.status import LineStatus, SinkHealth
from edgetl.runtime.verdict import Verdict
from tests.runtime.outputs.brokers import eventually
from tests.runtime.outputs.conftest import Open
from tests.runtime.outputs.controller import Controller

VERDICT = Verdict(
    sequence=70000,
    verdict="NG",
    label="scratch",
    score=0.9876,
    source="c",
    frame=1,
    part=65537,
    time_s=0.0,
    latency_ms=12.4,
)


def said(kind: str) -> Verdict:
    return msgspec.structs.replace(VERDICT, verdict=kind, label=None if kind == "FAULT" else "x")


@pytest.mark.parametrize(
    ("newest", "ready", "safe", "expected"),
    [
        ("OK", True, "reject", {"ready", "pass"}),
        ("NG", True, "reject", {"ready", "reject"}),
        ("NG", True, "off", {"ready", "reject"}),
        ("UNKNOWN", True, "reject", {"ready", "reject", "doubt"}),
        ("FAULT", True, "reject", {"ready", "reject", "doubt"}),
        ("FAULT", True, "off", {"ready", "doubt"}),
        ("OK", False, "reject", {"reject", "doubt"}),
        ("OK", False, "off", {"doubt"}),
        (None, True, "reject", {"ready", "reject"}),
        (None, True, "off", {"ready"}),
        (None, False, "reject", {"reject"}),
        (None, False, "off", set()),
    ],
)
def test_bits_never_pass_what_nobody_vouches_for(
    newest: str | None, ready: bool, safe: Any, expected: set[str]
) -> None:
    found = bits(said(newest) if newest else None, ready, False, safe)
    assert {name for name, bit in zip(BITS, found, strict=True) if bit} == expected


def test_registers_hold_what_the_map_says() -> None:
    status = LineStatus(state="running", verdicts={"OK": 1, "NG": 65536, "UNKNOWN": 3, "FAULT": 4}, yield_share=0.5, temperature_c=-1.5,
                        drift="darker", sinks=(SinkHealth(name="m", ok=False),))  # fmt: skip
    words = registers((VERDICT, said("FAULT")), status, heartbeat=65537)
    assert len(words) == REGISTERS
    assert words[:HEAD] == head(VERDICT, "running", 65537) == [1, 1, 1, 2, 0, 9876, 1, 4464, 1, 1, 12, 0]
    assert words[12:20] == [0, 1, 1, 0, 0, 3, 0, 4]
    assert words[20:24] == [5000, 0x10000 - 15, 0b110, 0]
    assert b"".join(w.to_bytes(2, "big") for w in words[24:32]) == b"scratch".ljust(16, b"\0")
    assert words[32:40] == [1, 4464, 2, 9876, 1, 4464, 4, 9876]
    assert all(0 <= word <= 0xFFFF for word in words)


def test_registers_before_the_first_verdict_say_that_there_is_none() -> None:
    words = registers((), LineStatus(), 0)
    assert (
        len(words) == REGISTERS
        and words[3] == 0
        and words[8:10] == [0xFFFF, 0xFFFF]
        and words[20:22] == [0xFFFF, 0x8000]
    )


@contextmanager
def connected(port: int) -> Iterator[Any]:
    from pymodbus.client import ModbusTcpClient

    client = ModbusTcpClient("127.0.0.1", port=port)
    eventually(client.connect)
    try:
        yield client
    finally:
        client.close()


def test_a_controller_reads_the_newest_verdict(station: Open) -> None:
    pytest.importorskip("pymodbus", reason="needs edgetl[line]")
    port = free_port()
    line = station(ModbusServer(address=f"tcp://127.0.0.1:{port}"))
    eventually(lambda: line.health("modbus-server").ok)
    with connected(port) as plc:
        assert plc.read_discrete_inputs(0, count=5).bits[:5] == [False, False, True, False, False]
        line.board.progress(trusted=True)
        assert plc.read_discrete_inputs(0, count=5).bits[:5] == [True, False, True, False, False], (
            "ready before any part"
        )
        line.say(2)
        assert plc.read_discrete_inputs(0, count=5).bits[:5] == [True, True, False, False, False]
        assert plc.read_coils(2, count=1).bits[0] is False
        line.say(1, "FAULT")
        assert plc.read_coils(0, count=5).bits[:5] == [False, False, True, True, True]
        line.board.progress(trusted=True)
        assert plc.read_coils(0, count=5).bits[:5] == [True, False, True, True, True], "ready again, and no part passed"
        words = plc.read_input_registers(0, count=REGISTERS).registers
        assert words[3] == 4 and words[6:8] == [0, 3] and words[12:14] == [0, 2] and words[18:20] == [0, 1]
        assert plc.read_holding_registers(18, count=2).registers == [0, 1]
        assert plc.write_register(3, 1).isError() and plc.write_coil(1, True).isError()
        assert plc.read_holding_registers(REGISTERS, count=1).isError()
        beat = plc.read_input_registers(1, count=1).registers
        eventually(lambda: plc.read_input_registers(1, count=1).registers != beat)


def test_a_port_in_use_is_told_and_taken_when_it_is_free(station: Open) -> None:
    import socket

    pytest.importorskip("pymodbus", reason="needs edgetl[line]")
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    line = station(ModbusServer(address=f"tcp://127.0.0.1:{port}"))
    eventually(lambda: "in use" in line.health("modbus-server").detail)
    taken.close()
    eventually(lambda: line.health("modbus-server").ok)
    line.say()
    with connected(port) as plc:
        assert plc.read_coils(1, count=1).bits[0] is True


@pytest.fixture
def controller() -> Iterator[Controller]:
    pytest.importorskip("pymodbus", reason="needs edgetl[line]")
    plc = Controller(free_port())
    plc.on()
    yield plc
    plc.off()


def test_verdicts_are_written_into_a_controller_one_by_one(station: Open, controller: Controller) -> None:
    line = station(
        ModbusClient(address=f"tcp://127.0.0.1:{controller.port}", unit=7, coil=16, register=10, heartbeat_s=3600)
    )
    eventually(lambda: line.health("modbus-client").ok and controller.coils)
    assert controller.coils == [[False, False, True, False, False]], "nothing was said yet: safe, and not ready"
    line.board.progress(trusted=True)
    eventually(lambda: len(controller.coils) == 2)
    assert controller.coils[-1] == [True, False, True, False, False], "ready without waiting for a part or a heartbeat"
    controller.coils.clear()
    for kind in ("OK", "NG", "UNKNOWN", "OK"):
        line.say(1, kind)
    eventually(lambda: len(controller.coils) == 4)
    assert [c[1:4] for c in controller.coils] == [
        [True, False, False],
        [False, True, False],
        [False, True, True],
        [True, False, False],
    ]
    assert [c[4] for c in controller.coils] == [True, False, True, False]
    assert controller.words[13] == 1 and controller.words[16:18] == [0, 4]
    eventually(lambda: line.health("modbus-client").delivered == 4)
    line.outputs.close()
    assert controller.coils[-1][:4] == [False, False, True, True], "the safe state is the last word"


def test_a_controller_that_was_off_gets_the_newest_verdict_and_no_stale_ones(
    station: Open, controller: Controller
) -> None:
    line = station(ModbusClient(address=f"tcp://127.0.0.1:{controller.port}", unit=7, heartbeat_s=0.2, timeout_s=0.5))
    line.say(1)
    eventually(lambda: line.health("modbus-client").delivered == 1)
    controller.off()
    eventually(lambda: not line.health("modbus-client").ok)
    line.say(40, "NG")
    eventually(lambda: line.health("modbus-client").dropped >= 30)
    controller.coils.clear()
    controller.on()
    eventually(lambda: line.health("modbus-client").ok and controller.words[6:8] == [0, 41])
    assert line.health("modbus-client").dropped == 39, "only the newest of those that waited"
