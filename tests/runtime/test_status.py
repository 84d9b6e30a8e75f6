"""The line's status: true counts, a record that does not change under its reader, and ages by the clock."""

from __future__ import annotations

import threading

import msgspec
import pytest

from edgetl.runtime.status import LineStatus, SinkHealth, SourceHealth, StatusBoard
from edgetl.runtime.verdict import Verdict


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def verdict(kind: str, label: str | None = "green", latency_ms: float = 2.0) -> Verdict:
    return Verdict(
        sequence=1, verdict=kind, label=label, source="x", frame=0, time_s=0.0, latency_ms=latency_ms  # type: ignore[arg-type]
    )  # fmt: skip


def test_counts_yield_and_ages() -> None:
    clock = Clock()
    board = StatusBoard(clock, device="cell-3", version="1")
    for kind in ("OK", "OK", "OK", "NG", "UNKNOWN"):
        board.frame()
        board.verdict(verdict(kind))
    board.verdict(verdict("FAULT", None))
    clock.now += 3.0
    status = board.snapshot()
    assert status.verdicts == {"OK": 3, "NG": 1, "UNKNOWN": 1, "FAULT": 1}
    assert (status.judged, status.frames, status.labels) == (6, 5, {"green": 5})
    assert status.yield_share == 0.75
    assert (status.last_frame_age_s, status.last_verdict_age_s, status.uptime_s) == (3.0, 3.0, 3.0)
    assert status.verdicts_per_second == 2.0
    assert (status.device, status.version) == ("cell-3", "1")


def test_counting_goes_on_from_what_another_board_counted() -> None:
    clock = Clock()
    first = StatusBoard(clock)
    first.frame(dropped=True)
    first.verdict(verdict("OK"))
    clock.now += 90.0
    first.verdict(verdict("NG", "red"))
    clock.now += 5.0
    second = StatusBoard(clock, before=first.counts())
    assert second.snapshot().last_frame_age_s == 95.0
    second.frame()
    second.verdict(verdict("NG", "red"))
    status = second.snapshot()
    assert status.verdicts == {"OK": 1, "NG": 2, "UNKNOWN": 0, "FAULT": 0}
    assert (status.frames, status.dropped, status.labels, status.uptime_s) == (2, 1, {"green": 1, "red": 2}, 95.0)
    assert [(m.minute, m.verdicts["OK"], m.verdicts["NG"]) for m in second.minutes()] == [(0, 1, 0), (1, 0, 2)]
    assert first.snapshot().verdicts["NG"] == 1


def test_nothing_yet_is_said_as_such() -> None:
    status = StatusBoard(Clock()).snapshot()
    assert status.state == "starting"
    assert (status.yield_share, status.last_frame_age_s, status.last_verdict_age_s) == (None, None, None)
    assert (status.latency_ms, status.verdicts_per_second) == ({}, 0.0)


def test_rate_falls_to_nothing_when_the_line_stands() -> None:
    clock = Clock()
    board = StatusBoard(clock)
    for _ in range(100):
        clock.now += 0.1
        board.verdict(verdict("OK"))
    assert board.snapshot().verdicts_per_second == pytest.approx(10.0, rel=0.05)
    clock.now += 60.0
    assert board.snapshot().verdicts_per_second == 0.0


def test_snapshot_does_not_change_afterwards() -> None:
    board = StatusBoard(Clock())
    board.verdict(verdict("OK"))
    before = board.snapshot()
    text = msgspec.json.encode(before)
    board.verdict(verdict("NG", "red"))
    board.tell(state="running", source=SourceHealth(name="camera 0"))
    assert msgspec.json.encode(before) == text
    assert board.snapshot().last[0].verdict == "NG"


def test_minutes_hold_the_history_of_a_shift() -> None:
    clock = Clock()
    board = StatusBoard(clock)
    for _ in range(3):
        board.verdict(verdict("OK"))
        clock.now += 61.0
        board.verdict(verdict("NG"))
    assert [(m.minute, m.verdicts["OK"], m.verdicts["NG"]) for m in board.minutes()] == [
        (0, 1, 0), (1, 1, 1), (2, 1, 1), (3, 0, 1)
    ]  # fmt: skip


def test_memory_is_bounded_over_days() -> None:
    clock = Clock()
    board = StatusBoard(clock)
    for _ in range(3 * 24 * 60):
        clock.now += 60.0
        board.verdict(verdict("OK"))
    assert len(board.minutes()) == 24 * 60
    assert len(board.snapshot().last) < 100


class Waiting:
    """An output with three verdicts waiting."""

    def health(self) -> SinkHealth:
        return SinkHealth(name="broker", ok=False, detail="no answer", waiting=3)


def test_outputs_that_can_tell_are_asked() -> None:
    board = StatusBoard(Clock())
    board.watch([object(), Waiting()])
    assert board.snapshot().sinks == (SinkHealth(name="broker", ok=False, detail="no answer", waiting=3),)


def test_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError):
        StatusBoard(Clock()).tell(colour="green")


def test_threads_lose_no_count() -> None:
    board = StatusBoard()

    def work() -> None:
        for _ in range(2000):
            board.frame(dropped=True)
            board.verdict(verdict("OK"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        board.snapshot()
    status = board.snapshot()
    assert (status.frames, status.dropped, status.verdicts["OK"], status.judged) == (8000, 8000, 8000, 8000)


def test_status_is_plain_data() -> None:
    board = StatusBoard(Clock())
    board.verdict(verdict("NG", "red"))
    status = board.snapshot()
    assert msgspec.json.decode(msgspec.json.encode(status), type=LineStatus) == status


def test_line_that_runs_and_lets_nothing_through_is_stuck() -> None:
    clock = Clock()
    board = StatusBoard(clock, stuck_after_s=3.0)
    assert not board.ready() and not board.stuck(), "it has not begun"
    board.tell(state="running")
    board.progress(trusted=False)
    assert (board.snapshot().state, board.ready()) == ("running", False), "no frame yet"
    board.progress(trusted=True)
    clock.now += 2.9
    board.frame()
    assert (board.snapshot().state, board.snapshot().ready, board.ready()) == ("running", True, True)
    clock.now += 0.2
    board.frame()
    status = board.snapshot()
    assert (status.state, status.ready, board.ready(), board.stuck()) == ("stuck", False, False, True)
    assert status.last_progress_age_s == pytest.approx(3.1) and status.last_frame_age_s == 0.0
    board.progress(trusted=True)
    assert (board.snapshot().state, board.ready()) == ("running", True), "it moves again"
    board.progress(trusted=False)
    assert not board.ready()
    board.progress(trusted=True)
    clock.now += 60.0
    board.tell(state="stopped")
    assert (board.snapshot().state, board.ready()) == ("stopped", False)
