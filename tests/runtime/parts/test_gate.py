"""Signals claim frames by time, and each part comes out once, whatever order things happen in."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edgetl.runtime.parts.gate import OpenGate, OutsideGate, PartMark, Signals, SourceGate, Step, TimerGate
from edgetl.runtime.parts.settings import HttpTrigger, SourceTrigger, TimerTrigger
from edgetl.runtime.sources.base import Frame


def frame(at_s: float, part: int | None = None) -> Frame:
    return Frame(0, "f", None, at_s, at_s, part=part)


def numbers(marks: tuple[PartMark, ...]) -> list[int]:
    return [mark.part for mark in marks]


def said(step: Step) -> tuple[list[int], int | None, bool]:
    return numbers(step.ended), step.part.part if step.part else None, step.last


def test_every_frame_is_a_part_and_so_are_those_that_were_passed_over() -> None:
    gate = OpenGate(numbered=True)
    passed = [0, 0, 3, 0]
    steps = [gate.step(Frame(0, "f", None, n / 10, n / 10, passed_over=count)) for n, count in enumerate(passed)]
    assert [said(step) for step in steps] == [([], 1, True), ([], 2, True), ([3, 4, 5], 6, True), ([], 7, True)]
    assert all(mark.passed_over for step in steps for mark in step.ended)
    assert not any(step.part.passed_over for step in steps if step.part)


class Outside:
    """Signals by hand."""

    def __init__(self, **settings: float) -> None:
        self.times: list[float] = []
        self.gate = OutsideGate(HttpTrigger(**settings), self._take)  # type: ignore[arg-type]

    def _take(self) -> list[float]:
        times, self.times = self.times, []
        return times

    def frame(self, at_s: float, *signals: float) -> tuple[list[int], int | None, bool]:
        self.times += signals
        return said(self.gate.step(frame(at_s)))


def test_part_takes_the_first_frame_after_its_signal() -> None:
    line = Outside()
    assert line.frame(1.0) == ([], None, False)
    assert line.frame(1.1, 1.05) == ([], 1, True)
    assert line.frame(1.2) == ([], None, False)
    assert line.gate.finish() == ()


def test_part_takes_as_many_frames_as_asked() -> None:
    line = Outside(frames=3)
    assert [line.frame(t, *s) for t, s in [(1.0, [0.9]), (1.1, []), (1.2, []), (1.3, [])]] == [
        ([], 1, False), ([], 1, False), ([], 1, True), ([], None, False)
    ]  # fmt: skip


def test_delay_is_the_way_from_the_sensor_to_the_camera() -> None:
    line = Outside(delay_s=0.5)
    assert [line.frame(t, *s) for t, s in [(1.0, [0.9]), (1.3, []), (1.4, []), (1.5, [])]] == [
        ([], None, False), ([], None, False), ([], 1, True), ([], None, False)
    ]  # fmt: skip


def test_parts_between_sensor_and_camera_wait_in_line() -> None:
    line = Outside(delay_s=1.0)
    assert line.frame(1.0, 0.2, 0.4, 0.6) == ([], None, False)
    assert [line.frame(t)[1] for t in (1.25, 1.45, 1.65, 1.8)] == [1, 2, 3, None]


def test_next_part_ends_the_one_before() -> None:
    line = Outside(frames=5)
    line.frame(1.0, 0.9)
    line.frame(1.1)
    assert line.frame(1.2, 1.15) == ([1], 2, False)


def test_part_without_a_frame_in_time_ends_without_one() -> None:
    line = Outside(timeout_s=0.5)
    assert line.frame(2.0, 1.0) == ([1], None, False)
    assert line.frame(2.1, 1.7) == ([], 2, True)


def test_camera_that_stood_still_leaves_no_part_out() -> None:
    """Three parts passed while no frame came; the last one is still there."""
    line = Outside(timeout_s=0.5)
    assert line.frame(9.0, 5.0, 6.0, 8.9) == ([1, 2], 3, True)


def test_part_that_has_a_frame_does_not_time_out() -> None:
    line = Outside(frames=2, timeout_s=0.1)
    assert line.frame(1.0, 0.95) == ([], 1, False)
    assert line.frame(9.0) == ([], 1, True)


def test_bounce_is_no_part_and_is_counted() -> None:
    line = Outside(min_gap_s=0.05)
    assert line.frame(1.1, 1.0, 1.01, 1.02) == ([], 1, True)
    assert line.frame(1.2, 1.15) == ([], 2, True)
    assert line.gate._signals.bounced == 2


def test_end_gives_every_part_that_still_waits() -> None:
    line = Outside(frames=3, delay_s=1.0)
    assert line.frame(1.6, 0.5, 0.8, 1.4) == ([], 1, False)
    line.times.append(1.7)
    assert numbers(line.gate.finish()) == [1, 2, 3, 4]
    assert line.gate.finish() == ()


def test_marks_keep_the_time_of_the_signal() -> None:
    line = Outside(delay_s=0.3)
    line.times.append(7.25)
    step = line.gate.step(frame(8.0))
    assert step.part == PartMark(1, 7.25, 7.25)


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_events_gives_each_part_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    line = Outside(frames=chance.randint(1, 4), delay_s=chance.choice([0.0, 0.3]), timeout_s=0.2)
    now, announced, done, taken = 0.0, 0, [], Counter[int]()
    for _ in range(500):
        now += chance.expovariate(20)
        while chance.random() < 0.3:
            line.times.append(now - chance.random() * 0.01)
            line.times.sort()
            announced += 1
        if chance.random() < 0.05:
            now += 2.0
        step = line.gate.step(frame(now))
        done += numbers(step.ended)
        if step.part is not None:
            taken[step.part.part] += 1
            done += [step.part.part] if step.last else []
    done += numbers(line.gate.finish())
    assert done == list(range(1, announced + 1))
    assert max(taken.values()) <= line.gate._signals._settings.frames


def test_source_numbers_its_own_parts() -> None:
    gate = SourceGate(SourceTrigger(frames=2))
    steps = [gate.step(frame(t / 10, part)) for t, part in enumerate([None, 7, None, None, 8, 9, None])]
    assert [said(s) for s in steps] == [
        ([], None, False), ([], 7, False), ([], 7, True), ([], None, False),
        ([], 8, False), ([8], 9, False), ([], 9, True),
    ]  # fmt: skip


def test_timer_goes_by_the_recordings_time() -> None:
    gate = TimerGate(TimerTrigger(every_s=1.0))
    times = [n / 4 for n in range(13)]
    assert [t for t in times if gate.step(frame(t)).judged] == [0.0, 1.0, 2.0, 3.0]


def test_timer_does_not_make_up_for_a_pause() -> None:
    gate = TimerGate(TimerTrigger(every_s=1.0))
    judged = [t for t in (0.0, 0.5, 1.0, 60.0, 60.5, 61.0) if gate.step(frame(t)).judged]
    assert judged == [0.0, 1.0, 60.0, 61.0]


def test_without_a_trigger_every_frame_stands_for_itself() -> None:
    step = OpenGate().step(frame(1.0))
    assert (step.judged, step.part, step.last, step.ended) == (True, None, True, ())


def test_signals_keep_their_own_numbers_after_the_sources() -> None:
    signals = Signals(SourceTrigger())
    signals.signal(1.0, 1.0, 41)
    signals.signal(1.1, 1.1)
    assert numbers(signals.finish()) == [41, 42]
