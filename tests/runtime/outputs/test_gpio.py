"""Verdicts on pins, and pins that are safe whatever happened to the process that drove them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgetl.errors import SourceError
from edgetl.runtime.outputs.config import Gpio, VerdictPin
from edgetl.runtime.outputs.gpio import GpioOutput
from edgetl.runtime.pins.base import PinSettings
from edgetl.runtime.status import StatusBoard
from edgetl.runtime.verdict import Verdict, VerdictKind
from tests.conftest import edgetl
from tests.runtime.fake_chip import FakeChip
from tests.runtime.waiting import until

FAKE_GPIOD = Path(__file__).parents[1] / "fake_gpiod"
OK, BAD, FAULT, PULSED = 1, 2, 3, 4
PINS = (
    VerdictPin(line=OK, on=("OK",)),
    VerdictPin(line=BAD, on=("NG", "UNKNOWN")),
    VerdictPin(line=FAULT, on=("FAULT",)),
    VerdictPin(line=PULSED, on=("NG",), pulse_s=0.05),
)
SAFE = [False, False, True, False]


class Rig:
    """An output on a chip in memory, and the board of its line."""

    def __init__(self, *pins: VerdictPin) -> None:
        self.chip, self.board = FakeChip(), StatusBoard(stuck_after_s=3600)
        self.board.tell(state="running")
        self.output = GpioOutput(Gpio(pins=pins or PINS), self.board, self.chip)
        self.output.start()

    def say(self, kind: VerdictKind) -> None:
        self.board.progress(trusted=kind != "FAULT")
        self.output.show(Verdict(sequence=1, verdict=kind, source="x", frame=0, time_s=0.0, latency_ms=0.0))

    def levels(self) -> list[bool]:
        return [self.chip.outputs[line].level for line in (OK, BAD, FAULT, PULSED)]


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.output.close(10)


def test_each_verdict_has_its_levels_until_the_next_one(rig: Rig) -> None:
    assert rig.levels() == SAFE, "from the first moment"
    rig.board.progress(trusted=True)
    until(lambda: rig.levels() == [False, False, False, False], "ready, and nothing said yet")
    for kind, levels in (("OK", [True, False, False]), ("NG", [False, True, False]), ("UNKNOWN", [False, True, False])):
        rig.say(kind)  # type: ignore[arg-type]
        until(lambda levels=levels: rig.levels()[:3] == levels, kind)  # type: ignore[misc]
        time.sleep(0.2)
        assert rig.levels()[:3] == levels
    rig.say("FAULT")
    until(lambda: rig.levels()[:3] == [False, False, True])
    rig.board.progress(trusted=True)
    rig.say("OK")
    until(lambda: rig.levels()[:3] == [True, False, False])


def test_pulse_comes_once_for_each_verdict_that_it_stands_for(rig: Rig) -> None:
    pin = rig.chip.outputs[PULSED]
    for count in (1, 2, 3):
        rig.say("NG")
        until(lambda count=count: len(pin.rises()) == count and not pin.level)  # type: ignore[misc]
        rig.say("OK")
    widths = [low - high for (high, level), (low, _) in zip(pin.levels, pin.levels[1:], strict=False) if level]
    assert len(widths) == 3 and min(widths) >= 0.05


def test_line_that_is_not_ready_has_safe_pins_and_so_has_one_that_ended() -> None:
    rig = Rig()
    rig.say("OK")
    until(lambda: rig.levels() == [True, False, False, False])
    rig.board.progress(trusted=False)  # nobody calls the output: it looks itself
    until(lambda: rig.levels() == SAFE)
    rig.board.progress(trusted=True)
    until(lambda: rig.levels() == [True, False, False, False])
    rig.output.close(10)
    assert rig.levels() == SAFE and all(pin.closed for pin in rig.chip.outputs.values())


def test_pin_that_breaks_is_told_and_the_others_go_on(rig: Rig) -> None:
    rig.chip.outputs[OK].broken = True
    rig.say("OK")
    until(lambda: "line 1 does not obey" in rig.output.health().detail)
    rig.say("NG")
    until(lambda: rig.levels()[1])
    assert rig.output.health().delivered == 2


def test_pin_in_use_is_refused_and_one_given_twice_too() -> None:
    chip = FakeChip()
    chip.output(PinSettings(line=OK), False)
    with pytest.raises(SourceError, match="busy"):
        GpioOutput(Gpio(pins=PINS), StatusBoard(), chip)
    with pytest.raises(msgspec.ValidationError, match="line 1 is given twice"):
        msgspec.convert({"type": "gpio", "pins": [{"line": 1, "on": ["OK"]}, {"line": 1, "on": ["NG"]}]}, Gpio)


# The real commands, over libgpiod's package played by files.

LINE = """
source: 'sim:parts=100000,parts_per_minute=600,width=160,height=120'
reject: {pin: {line: 17}, delay_s: 0.0, tolerance_s: 10, pulse_s: 60, on: [OK, NG], ready: {line: 27}}
outputs:
- {type: gpio, pins: [{line: 5, on: [OK, NG]}, {line: 6, on: [FAULT], active: low}]}
"""


@pytest.fixture
def kernel(tmp_path: Path) -> dict[str, str]:
    """The environment of programs whose pins are files."""
    (tmp_path / "pins").mkdir()
    return {**os.environ, "PYTHONPATH": str(FAKE_GPIOD), "FAKE_GPIO": str(tmp_path / "pins")}


def level(tmp_path: Path, line: int) -> str:
    path = tmp_path / "pins" / f"line-{line}"
    words = path.read_text().split() if path.exists() else []
    return words[-1] if words else ""  # it is there a moment before its first word


def test_killed_in_a_pulse_the_pins_are_made_safe_by_a_command(
    tiny_bundle: Path, tmp_path: Path, kernel: dict[str, str]
) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(LINE)
    command = [sys.executable, "-m", "edgetl", "run", tiny_bundle, "--config", config, "--interpreter", "litert"]
    with subprocess.Popen([*command, "--threads", "1"], env=kernel, stdout=subprocess.DEVNULL) as line:
        try:
            until(lambda: [level(tmp_path, pin) for pin in (17, 27, 5, 6)] == ["high", "high", "high", "high"])
            refused = edgetl("outputs", "safe", "--config", config, env=kernel)
            assert refused.returncode == 1 and "busy" in refused.stderr, "while the line runs its pins are its own"
        finally:
            line.send_signal(signal.SIGKILL)
    assert level(tmp_path, 17) == "high", "nobody drives it any more"
    done = edgetl("outputs", "safe", "--config", config, "--json", env=kernel)
    assert done.returncode == 0, done.stderr
    driven = {row["line"]: row["active"] for row in map(json.loads, done.stdout.splitlines())}
    assert driven == {17: False, 27: False, 5: False, 6: True}
    assert [level(tmp_path, pin) for pin in (17, 27, 5, 6)] == ["low", "low", "low", "low"], "6 is active when low"
    tried = edgetl("outputs", "test", "--config", config, env=kernel)
    assert tried.returncode == 0 and "2 pins can be driven" in tried.stdout


def test_one_pin_that_cannot_be_had_does_not_keep_the_others_from_being_safe(
    tmp_path: Path, kernel: dict[str, str]
) -> None:
    config = tmp_path / "line.yaml"
    config.write_text(
        "reject: {pin: {line: 3, chip: /dev/gpiochip9}, delay_s: 1, safe: true, ready: {line: 4, active: low}}\n"
    )
    done = edgetl("outputs", "safe", "--config", config, env=kernel)
    assert done.returncode == 1
    assert done.stderr.startswith("edgetl: E_OUTPUT: 1 of 2 pins are not in their safe state: /dev/gpiochip9, line 3:")
    assert level(tmp_path, 4) == "high"


def test_without_pins_there_is_nothing_to_drive_and_no_library_is_asked_for(tmp_path: Path) -> None:
    config = tmp_path / "line.yaml"
    config.write_text("source: 0\n")
    done = edgetl("outputs", "safe", "--config", config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
