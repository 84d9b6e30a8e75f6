"""The pusher fires for bad parts only, in order, in time or not at all."""

from __future__ import annotations

import random

import pytest

from edgetl.runtime.reject.schedule import Pulse, Schedule


def due(schedule: Schedule, position: float) -> list[tuple[int, str]]:
    return [(d.part, d.what) for d in schedule.due(position)]


def test_fires_when_the_part_is_there_and_only_then() -> None:
    schedule = Schedule(distance=2.0, tolerance=0.05)
    schedule.add(1, 10.0, bad=True)
    assert schedule.next_at() == 12.0
    assert due(schedule, 11.99) == []
    assert due(schedule, 12.01) == [(1, "fire")]
    assert due(schedule, 12.02) == [], "once"
    assert schedule.next_at() is None


def test_late_verdict_does_not_fire_for_the_part_behind() -> None:
    schedule = Schedule(distance=1.0, tolerance=0.02)
    schedule.add(1, 10.0, bad=True)
    schedule.add(2, 10.2, bad=False)
    assert due(schedule, 11.1) == [(1, "missed")]
    assert due(schedule, 11.2) == [(2, "pass")]


def test_verdicts_may_come_in_another_order_than_the_parts() -> None:
    schedule = Schedule(distance=100, tolerance=5)
    for part, at in ((3, 240), (1, 200), (2, 220)):
        schedule.add(part, at, bad=part != 2)
    assert [due(schedule, position) for position in (299, 301, 320, 341)] == [
        [], [(1, "fire")], [(2, "pass")], [(3, "fire")]
    ]  # fmt: skip


def test_belt_that_stands_still_fires_nothing() -> None:
    schedule = Schedule(distance=100, tolerance=5)
    schedule.add(1, 0, bad=True)
    assert [due(schedule, 99) for _ in range(1000)] == [[]] * 1000
    assert due(schedule, 100) == [(1, "fire")]


@pytest.mark.parametrize("seed", range(20))
def test_each_part_passes_once_and_no_good_one_is_fired_at(seed: int) -> None:
    """Parts at random gaps, verdicts after random times, the thread that looks sleeps random times."""
    chance = random.Random(seed)
    distance, tolerance = 1.0, 0.01
    schedule = Schedule(distance, tolerance)
    signals = {part: part * 0.05 + chance.random() * 0.04 for part in range(1, 200)}
    bad = {part: chance.random() < 0.4 for part in signals}
    known = sorted((at + chance.expovariate(3), part) for part, at in signals.items())
    looks = []
    now = 0.0
    while now < 30.0:
        now += chance.expovariate(200)
        looks.append(now)
    went: dict[str, dict[int, float]] = {"fire": {}, "pass": {}, "missed": {}}
    order = []
    for now in looks:
        while known and known[0][0] <= now:
            _, part = known.pop(0)
            schedule.add(part, signals[part], bad=bad[part])
        for here in schedule.due(now):
            went[here.what][here.part] = now
            order.append(here.part)
    assert not known and schedule.next_at() is None
    assert sorted(order) == sorted(signals), "each once"
    fired, passed, missed = went.values()
    assert all(bad[part] for part in [*fired, *missed]) and not any(bad[part] for part in passed)
    assert all(0 <= at - (signals[part] + distance) <= tolerance for part, at in fired.items())
    assert fired and missed, "the case is worth its name"


def test_pulse_has_its_width_and_a_second_one_lengthens_it() -> None:
    pulse = Pulse(0.05)
    assert (pulse.is_active(1.0), pulse.ends_s(1.0)) == (False, None)
    pulse.fire(1.0)
    assert [pulse.is_active(t) for t in (1.0, 1.049, 1.051)] == [True, True, False]
    pulse.fire(1.04)
    assert (pulse.is_active(1.08), pulse.ends_s(1.08)) == (True, pytest.approx(1.09))
