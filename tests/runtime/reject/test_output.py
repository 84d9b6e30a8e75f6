"""The pusher's pins through a whole life: safe before, a pulse for each bad part, safe after."""

from __future__ import annotations

import time

import pytest

from edgetl.errors import SourceError, UsageError
from edgetl.runtime.pins.base import PinSettings
from edgetl.runtime.reject.output import RejectOutput
from edgetl.runtime.reject.settings import EncoderSettings, ReadySettings, RejectSettings
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict
from tests.runtime.fake_chip import FakeChip
from tests.runtime.waiting import until

PIN = PinSettings(line=5)


class Line:
    """Whether it inspects is set by hand."""

    def __init__(self) -> None:
        self.ready = False

    def is_ready(self) -> bool:
        return self.ready


def inspects() -> bool:
    return True


def show(output: RejectOutput, part: int | None, kind: str, at_s: float) -> None:
    verdict = Verdict(
        sequence=part or 0, verdict=kind, source="x", frame=0, part=part, time_s=0.0, latency_ms=0.0, triggered_s=at_s  # type: ignore[arg-type]
    )  # fmt: skip
    output.show(Frame(0, "x", None, at_s, at_s), verdict)


def test_bad_parts_are_pushed_out_after_the_delay() -> None:
    """Generous in how late the machine may be, exact in which parts and in that none is early."""
    chip = FakeChip()
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=0.3, pulse_s=0.02, tolerance_s=10.0), inspects, chip)
    pin = chip.outputs[5]
    for part, kind in enumerate(("OK", "NG", "OK", "UNKNOWN", "FAULT", "OK"), 1):
        before, signalled = len(pin.rises()), time.monotonic()
        show(output, part, kind, signalled)
        if kind == "OK":
            continue
        until(lambda before=before: len(pin.rises()) == before + 1 and not pin.level)  # type: ignore[misc]
        assert pin.rises()[-1] >= signalled + 0.3
    until(lambda: output._schedule.next_at() is None)
    assert (len(pin.rises()), output.health().delivered) == (3, 3)
    output.close()
    assert (pin.level, pin.closed) == (False, True)


def test_verdict_that_comes_too_late_pushes_nothing_out_and_is_told() -> None:
    chip = FakeChip()
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=0.1), inspects, chip)
    show(output, 1, "NG", time.monotonic() - 5.0)
    until(lambda: output.health().dropped)
    health = output.health()
    assert (health.ok, health.dropped, health.delivered) == (False, 1, 0)
    assert "went by before their verdict" in health.detail
    output.close()
    assert chip.outputs[5].rises() == []


def test_encoder_measures_the_way_even_when_the_belt_stops() -> None:
    chip = FakeChip()
    encoder = EncoderSettings(line=2, distance=50, tolerance=3)
    output = RejectOutput(RejectSettings(pin=PIN, encoder=encoder, pulse_s=0.01), inspects, chip)
    counts, pin = chip.inputs[2], chip.outputs[5]
    for _ in range(10):
        counts.edge()
    until(lambda: output._position.now() == 10)
    show(output, 1, "NG", time.monotonic())
    for n in range(49):
        counts.edge()
        until(lambda n=n: output._position.now() == 11 + n)  # type: ignore[misc]
    time.sleep(0.3)  # the belt stands
    assert pin.rises() == []
    counts.edge()
    until(lambda: pin.rises())
    output.close()
    assert len(pin.rises()) == 1
    assert counts.closed


def test_encoder_knows_where_a_part_was_when_it_was_signalled() -> None:
    """The verdict comes 30 counts after the signal; the way counts from the signal."""
    chip = FakeChip()
    output = RejectOutput(
        RejectSettings(pin=PIN, encoder=EncoderSettings(line=2, distance=50, tolerance=3)), inspects, chip
    )
    counts = chip.inputs[2]
    start = time.monotonic()
    for n in range(40):
        counts.edge(start + n * 0.001)
    until(lambda: output._position.now() == 40)
    assert output._position.at(start + 0.0095) == 10
    show(output, 1, "NG", start + 0.0095)
    assert output._schedule.next_at() == 60
    output.close()


def test_lost_encoder_is_told() -> None:
    chip = FakeChip()
    output = RejectOutput(RejectSettings(pin=PIN, encoder=EncoderSettings(line=2, distance=50)), inspects, chip)
    chip.inputs[2].break_off()
    until(lambda: not output.health().ok)
    assert "encoder" in output.health().detail
    output.close()


def test_pulse_wider_than_the_gap_is_told() -> None:
    chip = FakeChip()
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=0.2, pulse_s=30.0, tolerance_s=10.0), inspects, chip)
    start = time.monotonic()
    show(output, 1, "NG", start)
    show(output, 2, "OK", start + 0.05)
    until(lambda: not output.health().ok)
    assert "1 good parts passed while a pulse ran" in output.health().detail
    output.close()


@pytest.mark.parametrize("safe", [False, True])
def test_pin_is_in_its_safe_state_whenever_the_line_does_not_inspect(safe: bool) -> None:
    chip, line = FakeChip(), Line()
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=60.0, safe=safe), line.is_ready, chip)
    pin = chip.outputs[5]
    time.sleep(0.5)
    assert [level for _, level in pin.levels] == [safe], "until the first frame went through"
    line.ready = True
    show(output, None, "OK", time.monotonic())
    until(lambda: not pin.level)
    line.ready = False
    show(output, None, "FAULT", time.monotonic())
    until(lambda: pin.level is safe)
    line.ready = True
    output.show(Frame(0, "x", None, 0.0, 0.0), None)
    until(lambda: not pin.level)
    line.ready = False  # stuck: nobody calls
    until(lambda: pin.level is safe)
    line.ready = True
    until(lambda: not pin.level)
    show(output, 1, "NG", time.monotonic())
    output.close()
    assert (pin.level, pin.closed) == (safe, True)
    assert len(pin.rises()) == (3 if safe else 0), "a part on its way is not pushed out after the end"


def test_parts_judged_before_a_fault_are_still_pushed_out() -> None:
    chip, line = FakeChip(), Line()
    line.ready = True
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=0.4, pulse_s=0.02, tolerance_s=10.0), line.is_ready, chip)
    show(output, 1, "NG", time.monotonic())
    line.ready = False
    show(output, None, "FAULT", time.monotonic())
    until(lambda: output.health().delivered == 1 and not chip.outputs[5].level)
    assert len(chip.outputs[5].rises()) == 1
    output.close()


def test_ready_does_not_wait_for_a_part_and_goes_with_a_fault() -> None:
    """A controller that feeds parts only while the line is ready would wait for ever for the first one."""
    chip, line = FakeChip(), Line()
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=0.0, ready=ReadySettings(line=6)), line.is_ready, chip)
    ready = chip.outputs[6]
    assert not ready.level
    for _ in range(2):
        line.ready = True
        output.show(Frame(0, "x", None, 0.0, 0.0), None)
        until(lambda: ready.level)
        line.ready = False
        show(output, None, "FAULT", time.monotonic())
        until(lambda: not ready.level)
    assert chip.outputs[5].rises() == [], "a fault of the line is no part to push out"
    line.ready = True
    until(lambda: ready.level)
    output.close()
    assert (ready.level, ready.closed) == (False, True)


def test_ready_that_toggles_shows_life_and_stands_still_when_the_line_does() -> None:
    chip, line = FakeChip(), Line()
    line.ready = True
    settings = RejectSettings(pin=PIN, delay_s=0.0, ready=ReadySettings(line=6, toggle_s=0.01))
    output = RejectOutput(settings, line.is_ready, chip)
    pin = chip.outputs[6]
    until(lambda: len(pin.rises()) > 5)
    line.ready = False  # stuck: nobody calls
    until(lambda: not pin.level and time.monotonic() - pin.levels[-1][0] > 0.3)
    line.ready = True
    beaten = len(pin.rises())
    until(lambda: len(pin.rises()) > beaten + 3)
    output.close()
    assert not pin.level


def test_pin_that_breaks_is_told_and_the_line_goes_on() -> None:
    chip = FakeChip()
    output = RejectOutput(RejectSettings(pin=PIN, delay_s=0.0, tolerance_s=10.0), inspects, chip)
    chip.outputs[5].broken = True
    show(output, 1, "NG", time.monotonic())
    until(lambda: "does not obey" in output.health().detail)
    show(output, 2, "OK", time.monotonic())
    output.close()


def test_pin_in_use_is_refused_at_the_start() -> None:
    chip = FakeChip()
    chip.output(PIN, False)
    with pytest.raises(SourceError, match="busy"):
        RejectOutput(RejectSettings(pin=PIN, delay_s=0.0), inspects, chip)


def test_way_to_the_pusher_is_given_once() -> None:
    with pytest.raises(UsageError, match="either delay_s or encoder"):
        RejectSettings(pin=PIN)
    with pytest.raises(UsageError, match="either delay_s or encoder"):
        RejectSettings(pin=PIN, delay_s=1.0, encoder=EncoderSettings(line=2, distance=5))
