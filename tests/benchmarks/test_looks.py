"""What slowed the processor down while something was measured is remembered, though it has passed."""

from __future__ import annotations

from edgetl.benchmarks.looks import Looks
from edgetl.runtime.service.heat import Heat


def looked(*heats: Heat) -> Looks:
    """One look before anything is measured, and one after each measurement."""
    waiting = list(heats)
    looks = Looks(lambda: waiting.pop(0))
    for _ in range(len(heats) - 1):
        looks.look()
    return looks


COOL = Heat(50.0, 0)


def test_cool_processor_has_nothing_said_of_it() -> None:
    assert looked(COOL, COOL, COOL).said() == ""
    assert looked(COOL).said() == ""


def test_what_passed_between_two_measurements_counts() -> None:
    assert looked(COOL, Heat(80.0, 0b100), COOL).said() == "throttled"
    assert looked(COOL, Heat(80.0, 0x40000), Heat(60.0, 0x40000)).said() == "throttled meanwhile"
    counted = [Heat(80.0, None, (), n) for n in (7, 7, 9)]
    assert looked(*counted).said() == "throttled 2 times meanwhile"


def test_what_others_noticed_is_said_once() -> None:
    looks = looked(COOL, Heat(80.0, 0b110))
    assert looks.said("throttled", "", "under-voltage") == "frequency capped, throttled, under-voltage"
