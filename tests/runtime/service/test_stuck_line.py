"""A model that hangs while everything beside it lives on: whoever relies on the line's word must hear of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgetl.benchmarks.ports import free_port
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.outputs.config import ModbusClient, ModbusServer, OpcUaServer, OutputConfig
from edgetl.runtime.outputs.sink import open_outputs
from edgetl.runtime.page.settings import PageSettings
from edgetl.runtime.page.start import start_page
from edgetl.runtime.pins.base import PinSettings
from edgetl.runtime.reject.output import RejectOutput
from edgetl.runtime.reject.settings import ReadySettings, RejectSettings
from edgetl.runtime.service.journal import fields_of
from edgetl.runtime.service.stuck import StuckWatch
from edgetl.runtime.spool.config import SpoolConfig
from edgetl.runtime.status import StatusBoard
from tests.runtime import tiny
from tests.runtime.fake_chip import FakeChip
from tests.runtime.outputs.controller import Controller
from tests.runtime.page.client import Client
from tests.runtime.service.hanging import Hanging, running
from tests.runtime.waiting import until

STUCK_AFTER_S = 1.0
STANDS_S = 1.5  # more than the second in which a heart beats once
READY, PASS, REJECT = range(3)


def board() -> StatusBoard:
    return StatusBoard(stuck_after_s=STUCK_AFTER_S)


@contextmanager
def with_outputs(config: OutputConfig, folder: Path) -> Iterator[tuple[Hanging, StatusBoard]]:
    """A line with one output, which is closed after the line as `edgetl run` does."""
    line_board = board()
    outputs = open_outputs((config,), SpoolConfig(folder=str(folder)), "press-3", line_board)
    line_board.watch([outputs])
    try:
        with running([outputs], line_board) as model:
            until(lambda: line_board.snapshot().sinks[0].ok, "the output is up")
            yield model, line_board
    finally:
        outputs.close()


@pytest.mark.fault("W1")
def test_health_check_fails_while_the_model_hangs_and_the_camera_does_not(tmp_path: Path) -> None:
    line_board = board()
    with ExitStack() as stack:
        with open_bundle(tiny.write(tmp_path / "part.edgetl")) as bundle:
            own = open_interpreter("litert", bundle.read("model/int8.tflite"), "model/int8.tflite")
            page = start_page(PageSettings(port=0), bundle, own, line_board)
        stack.callback(page.close)
        model = stack.enter_context(running([page], line_board))
        client = Client(page.address)
        until(lambda: client.get("/healthz").status == 200)
        model.go.clear()
        until(lambda: client.get("/healthz").status == 503)
        said = client.get("/healthz").json
        assert not said["ok"] and said["reasons"][0].startswith("the line is stuck: no frame has gone through it for")
        frames = line_board.snapshot().frames
        until(lambda: line_board.snapshot().frames > frames + 10)
        assert client.get("/healthz").status == 503, "frames alone are no progress"
        assert "edgetl_up 0" in client.get("/metrics").body.decode()
        model.go.set()
        until(lambda: client.get("/healthz").status == 200)


@pytest.mark.fault("W1")
def test_log_says_that_the_line_is_stuck_and_that_it_moves_again(caplog: pytest.LogCaptureFixture) -> None:
    line_board = board()
    with running([], line_board) as model, caplog.at_level(logging.INFO, "edgetl.line"):
        watch = StuckWatch(line_board)
        until(line_board.ready)
        model.go.clear()
        until(lambda: "no frame goes through the line any more" in caplog.text)
        model.go.set()
        until(lambda: "frames go through the line again" in caplog.text)
        watch.close()
    assert [fields_of(record)["EDGETL_EVENT"] for record in caplog.records] == ["stuck", "moving"]


@pytest.mark.fault("W1")
def test_pins_go_to_their_safe_state_while_the_model_hangs() -> None:
    chip, line_board = FakeChip(), board()
    settings = RejectSettings(
        pin=PinSettings(line=5), delay_s=0.0, safe=True, ready=ReadySettings(line=6, toggle_s=0.05)
    )
    output = RejectOutput(settings, line_board.ready, chip)
    reject, ready = chip.outputs[5], chip.outputs[6]
    with running([output], line_board) as model:
        until(lambda: len(ready.rises()) > 2 and not reject.level)
        model.go.clear()
        until(lambda: reject.level and not ready.level)
        beaten = len(ready.rises())
        time.sleep(STANDS_S)
        assert (len(ready.rises()), reject.level) == (beaten, True)
        model.go.set()
        until(lambda: len(ready.rises()) > beaten + 2 and not reject.level)
    output.close()
    assert (reject.level, ready.level) == (True, False)


@pytest.mark.fault("W1")
def test_modbus_server_is_safe_and_its_heart_stands_still_while_the_model_hangs(tmp_path: Path) -> None:
    client_of = pytest.importorskip("pymodbus.client", reason="needs edgetl[line]").ModbusTcpClient
    port = free_port()
    with with_outputs(ModbusServer(address=f"tcp://127.0.0.1:{port}"), tmp_path) as (model, _):
        plc = client_of("127.0.0.1", port=port)
        assert plc.connect()

        def bits() -> list[bool]:
            return list(plc.read_coils(0, count=5).bits)

        def heartbeat_and_state() -> list[int]:
            return list(plc.read_input_registers(1, count=2).registers)

        until(lambda: bits()[READY] and bits()[PASS] and not bits()[REJECT])
        first = heartbeat_and_state()[0]
        until(lambda: heartbeat_and_state()[0] > first)
        model.go.clear()
        until(lambda: not bits()[READY])
        assert bits()[PASS] is False and bits()[REJECT] is True
        stands = heartbeat_and_state()
        assert stands[1] == 4, "stuck"
        time.sleep(STANDS_S)
        assert heartbeat_and_state() == stands
        model.go.set()
        until(lambda: bits()[READY] and bits()[PASS] and heartbeat_and_state()[0] > stands[0])
        plc.close()


@pytest.mark.fault("W1")
def test_controller_is_told_the_safe_state_while_the_model_hangs(tmp_path: Path) -> None:
    pytest.importorskip("pymodbus", reason="needs edgetl[line]")
    plc = Controller(free_port())
    plc.on()
    config = ModbusClient(address=f"tcp://127.0.0.1:{plc.port}", unit=7, heartbeat_s=0.2)
    try:
        with with_outputs(config, tmp_path) as (model, _):
            until(lambda: plc.coils and plc.coils[-1][: REJECT + 1] == [True, True, False])
            model.go.clear()
            until(lambda: plc.coils[-1][: REJECT + 1] == [False, False, True])
            written, beat = len(plc.coils), plc.words[1]
            until(lambda: len(plc.coils) > written + 3, "it is still written")
            assert plc.words[1:3] == [beat, 4] and not any(coils[READY] for coils in plc.coils[written:])
            model.go.set()
            until(lambda: plc.coils[-1][: REJECT + 1] == [True, True, False] and plc.words[1] > beat)
    finally:
        plc.off()


@pytest.mark.fault("W1")
def test_opcua_server_is_safe_and_its_heart_stands_still_while_the_model_hangs(tmp_path: Path) -> None:
    asyncua = pytest.importorskip("asyncua", reason="needs edgetl[line]")
    url = f"opc.tcp://127.0.0.1:{free_port()}/edgetl"
    paths = ("State.Ready", "State.Heartbeat", "State.State", "Result.Pass", "Result.Reject")

    async def read() -> list[Any]:
        async with asyncua.Client(url, timeout=30) as client:
            return [await client.get_node(f"ns=2;s=press-3.{path}").read_value() for path in paths]

    def now() -> list[Any]:
        return asyncio.run(read())

    with with_outputs(OpcUaServer(address=url), tmp_path) as (model, _):
        until(lambda: now()[0] and now()[3])
        first = now()[1]
        until(lambda: now()[1] > first, "its heart beats however fast verdicts come")
        model.go.clear()
        until(lambda: not now()[0])
        stands = now()
        assert stands[2:] == ["stuck", False, True]
        time.sleep(STANDS_S)
        assert now() == stands
        model.go.set()
        until(lambda: now()[0] and now()[3])
