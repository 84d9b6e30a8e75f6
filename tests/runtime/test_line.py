"""The loop: each part exactly one verdict, nothing lost unseen, and a failure is the last word and never a class."""

from __future__ import annotations

import io
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
import pytest

from edgetl.errors import FrameError, ModelError, SourceError
from edgetl.runtime import line as line_module
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.judging import STOPPED
from edgetl.runtime.line import Line, Sink
from edgetl.runtime.parts.gate import SourceGate
from edgetl.runtime.parts.settings import SourceTrigger
from edgetl.runtime.sinks import JsonLines, TextLines
from edgetl.runtime.sources import Frame
from edgetl.runtime.status import percentiles
from edgetl.runtime.summary import Summary
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny
from tests.runtime.line_rig import Kept, ListSource, SlowInterpreter, frame, frames
from tests.runtime.waiting import until


def inspected(
    source: ListSource, *, wait_s: float = 0.0, fails_at: int | None = None, limit: int | None = None,
    rule: object = tiny.RULE, sinks: list[Sink] | None = None,
) -> tuple[Line, Summary, Kept]:  # fmt: skip
    kept = Kept()
    inspector = Inspector(SlowInterpreter(wait_s, fails_at), tiny.HOW, rule)  # type: ignore[arg-type]
    line = Line(source, inspector, [kept, *(sinks or [])], limit)
    summary = line.run()
    assert source.closed == 1
    return line, summary, kept


def test_every_frame_of_a_file_is_judged_in_order_and_rightly() -> None:
    line, summary, kept = inspected(ListSource(frames(60)))
    assert [v.label for v in kept.verdicts] == [tiny.LABELS[n % 3] for n in range(60)]
    assert [v.verdict for v in kept.verdicts] == ["NG", "OK", "NG"] * 20
    assert [v.sequence for v in kept.verdicts] == list(range(1, 61))
    assert [(v.frame, v.source, v.time_s) for v in kept.verdicts] == [(n, f"f{n}", n / 10) for n in range(60)]
    assert (summary.frames, summary.judged, summary.dropped) == (60, 60, 0)
    assert summary.verdicts == {"OK": 20, "NG": 40, "UNKNOWN": 0, "FAULT": 0}
    assert summary.labels == dict.fromkeys(tiny.LABELS, 20)
    assert (summary.interpreter, summary.threads, summary.error, line.failure) == ("litert", 1, None, None)


def test_slow_model_loses_nothing_of_a_file() -> None:
    _, summary, kept = inspected(ListSource(frames(40)), wait_s=0.005)
    assert [v.frame for v in kept.verdicts] == list(range(40))
    assert summary.dropped == 0


def test_undecided_picture_is_unknown_with_the_reason() -> None:
    _, summary, kept = inspected(ListSource([frame(0, "grey")]))
    (verdict,) = kept.verdicts
    assert (verdict.verdict, verdict.reason) == ("UNKNOWN", "score below 0.5")
    assert verdict.score == pytest.approx(1 / 3, abs=1e-4)
    assert summary.verdicts["UNKNOWN"] == 1


def test_only_frames_with_a_part_are_judged_when_triggered() -> None:
    _, summary, kept = inspected(ListSource(frames(50, part_every=5), triggered=True))
    assert [v.part for v in kept.verdicts] == list(range(1, 11))
    assert [v.frame for v in kept.verdicts] == list(range(0, 50, 5))
    assert len(kept.shown) == summary.frames == 50
    assert summary.judged == 10


def test_each_part_gets_one_verdict_from_a_live_source_too() -> None:
    source = ListSource(frames(150, part_every=5), live=True, triggered=True, every_s=0.001)
    _, summary, kept = inspected(source, wait_s=0.004)
    assert Counter(v.part for v in kept.verdicts) == Counter(range(1, 31))
    assert summary.dropped_parts == sum(v.frames == 0 for v in kept.verdicts)
    assert len(kept.shown) + summary.dropped - summary.dropped_parts == summary.frames == 150


@pytest.mark.fault("C8")
def test_burst_keeps_the_newest_and_counts_what_was_dropped() -> None:
    """A burst far above what the model can do, then a trickle far below."""

    def burst_then_trickle() -> Iterable[Frame]:
        yield from (frame(n) for n in range(200))
        for n in range(200, 206):
            time.sleep(0.05)
            yield frame(n)

    _, summary, kept = inspected(ListSource(burst_then_trickle(), live=True), wait_s=0.01)
    judged = [v.frame for v in kept.verdicts]
    assert summary.frames == 206
    assert summary.judged == len(judged)
    assert summary.judged + summary.dropped == 206
    assert summary.dropped > 150
    assert judged == sorted(set(judged))
    assert 199 in judged, "the newest frame of the burst was kept"
    assert judged[-6:] == [200, 201, 202, 203, 204, 205], "in the trickle nothing is lost"


def test_dropped_parts_are_counted_and_unknown() -> None:
    source = ListSource(frames(60, part_every=1), live=True, triggered=True)
    _, summary, kept = inspected(source, wait_s=0.01)
    assert summary.dropped_parts == summary.dropped > 0
    assert [v.part for v in kept.verdicts] == list(range(1, 61)), "each part has one verdict, in order"
    lost = [v for v in kept.verdicts if v.verdict == "UNKNOWN"]
    assert len(lost) == summary.dropped_parts
    assert {(v.label, v.score, v.frames) for v in lost} == {(None, None, 0)}
    assert all("not judged in time" in (v.reason or "") for v in lost)
    assert kept.verdicts[-1].verdict != "UNKNOWN"


def test_unreadable_frame_is_a_fault_in_its_place_and_the_rest_go_on() -> None:
    given = [frame(0), frame(1, fault="cut short"), frame(2)]
    line, summary, kept = inspected(ListSource(given))
    assert [v.verdict for v in kept.verdicts] == ["NG", "FAULT", "NG"]
    fault = kept.verdicts[1]
    assert (fault.label, fault.score, fault.reason, fault.source) == (None, None, "cut short", "f1")
    assert summary.verdicts["FAULT"] == 1
    assert line.failure is None


def test_fault_at_a_part_is_the_parts_one_verdict() -> None:
    given = [frame(0, part=1), frame(1, part=2, fault="no picture"), frame(2), frame(3, part=3)]
    _, _, kept = inspected(ListSource(given, triggered=True))
    assert [(v.part, v.verdict) for v in kept.verdicts] == [(1, "NG"), (2, "FAULT"), (3, "NG")]


@pytest.mark.parametrize("live", [True, False])
def test_source_that_fails_ends_with_one_fault_after_the_frames_before(live: bool) -> None:
    error = SourceError("camera 0: no frame came")
    source = ListSource(frames(5), error=error, live=live, every_s=0.01)
    line, summary, kept = inspected(source)
    assert [v.frame for v in kept.verdicts] == [0, 1, 2, 3, 4, 5]
    last = kept.verdicts[-1]
    assert (last.verdict, last.label, last.score) == ("FAULT", None, None)
    assert last.reason == "source: camera 0: no frame came"
    assert [v.verdict for v in kept.verdicts[:-1]].count("FAULT") == 0
    assert line.failure is error
    assert summary.error == str(error)


def test_model_that_fails_ends_with_one_fault() -> None:
    line, summary, kept = inspected(ListSource(frames(1000)), fails_at=4)
    assert [v.verdict for v in kept.verdicts[:3]] == ["NG", "OK", "NG"]
    assert [(v.verdict, v.label, v.reason) for v in kept.verdicts[3:]] == [
        ("FAULT", None, "model: the accelerator went away")
    ]
    assert isinstance(line.failure, ModelError)
    assert summary.judged == 4


@pytest.mark.fault("S10")
def test_model_with_another_number_of_outputs_than_labels_gives_no_class() -> None:
    rule = type(tiny.RULE)(labels=("ok", "ng"), ok_labels=("ok",))
    line, _, kept = inspected(ListSource(frames(5)), rule=rule)
    assert {(v.verdict, v.label) for v in kept.verdicts} == {("FAULT", None)}
    assert isinstance(line.failure, ModelError)


def test_name_that_is_no_text_does_not_end_the_run() -> None:
    """A file's name in another encoding than the system's, as it comes from an old camera or a zip."""
    name = os.fsdecode(b"Pr\xfcfling.png")
    given = [Frame(0, name, tiny.plain("red"), 0.0, 0.0), Frame(1, name, None, 0.0, 0.0, fault=f"{name}: empty")]
    out = io.StringIO()
    _, _, kept = inspected(ListSource(given), sinks=[JsonLines(out), TextLines(out)])
    assert [v.verdict for v in kept.verdicts] == ["NG", "FAULT"]
    assert out.getvalue().encode().count(b"Pr\\udcfcfling.png") >= 2


def test_frame_that_is_no_frame_ends_the_run_without_a_class() -> None:
    bad = Frame(0, "x", np.zeros((4, 4), np.uint8), time.monotonic(), 0.0)
    line, _, kept = inspected(ListSource([bad]))
    assert [(v.verdict, v.label) for v in kept.verdicts] == [("FAULT", None)]
    assert line.failure is not None


def test_frames_of_changing_size_are_judged() -> None:
    given = [Frame(n, "x", tiny.plain("green", 30 + 17 * n, 90 - 11 * n), 0.0, 0.0) for n in range(6)]
    _, _, kept = inspected(ListSource(given))
    assert [v.label for v in kept.verdicts] == ["green"] * 6


@pytest.mark.parametrize("limit", [1, 7])
def test_limit_counts_frames(limit: int) -> None:
    _, summary, kept = inspected(ListSource(frames(1000)), limit=limit)
    assert summary.frames == len(kept.shown) == limit


def test_empty_source_is_no_error() -> None:
    line, summary, kept = inspected(ListSource([]))
    assert (summary.frames, summary.judged, kept.shown, line.failure) == (0, 0, [], None)
    assert summary.latency_ms == {}


def endless() -> Iterable[Frame]:
    index = 0
    while True:
        yield frame(index)
        index += 1


def test_stop_between_parts_lets_the_part_in_view_have_all_its_frames() -> None:
    """Asked while the second frame of a part is read, it ends after the part's third and last one."""

    def asking() -> Iterable[Frame]:
        for number in range(40):
            if number == 11:
                assert line.part_in_view
                line.stop_between_parts()
            yield frame(number, part=number // 5 + 1 if number % 5 == 0 else None)

    source, kept = ListSource(asking(), triggered=True), Kept()
    gate = SourceGate(SourceTrigger(frames=3))
    line = Line(source, Inspector(SlowInterpreter(0.01), tiny.HOW, tiny.RULE), [kept], gate=gate)
    summary = line.run()
    assert summary.frames == 13
    assert [v.part for v in kept.verdicts] == [1, 2, 3]
    assert all(v.reason != STOPPED.reason for v in kept.verdicts)
    assert not line.part_in_view and line.failure is None


@pytest.mark.parametrize("live", [True, False])
def test_stop_ends_an_endless_run_soon(live: bool) -> None:
    source, kept = ListSource(endless(), live=live, every_s=0.001), Kept()
    line = Line(source, Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE), [kept])
    timer = threading.Timer(0.2, line.stop)
    timer.start()
    start = time.monotonic()
    summary = line.run()
    assert time.monotonic() - start < 5.0
    assert line.failure is None
    assert summary.judged == len(kept.verdicts) > 0
    assert source.closed == 1
    assert threading.active_count() < 20


class Gives:
    """Gives so many parts as fast as they are taken, then nothing until it is asked to end."""

    name = "some"
    live = False
    triggered = True

    def __init__(self, parts: int) -> None:
        self.parts, self.given = parts, 0
        self.end = threading.Event()

    def read(self) -> Frame | None:
        if self.given == self.parts:
            self.end.wait()
            return None
        self.given += 1
        return frame(self.given, part=self.given)

    def close(self) -> None:
        pass


class Gated(SlowInterpreter):
    """Does not answer until it is let go."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__(wait_s)
        self.asked, self.go = threading.Event(), threading.Event()

    def raw(self, image: object) -> np.ndarray:
        self.asked.set()
        self.go.wait()
        return super().raw(image)  # type: ignore[arg-type]


def stopped_with_all_at_hand(model: Gated, parts: int) -> tuple[Line, Kept]:
    """A line that is stopped when one part is with the model and each stage holds another one, in its hand and before it."""
    source, kept = Gives(parts), Kept()
    line = Line(source, Inspector(model, tiny.HOW, tiny.RULE), [kept])
    thread = threading.Thread(target=line.run)
    thread.start()
    model.asked.wait()
    until(lambda: source.given == parts)
    line.stop()
    source.end.set()
    model.go.set()
    thread.join()
    return line, kept


@pytest.mark.fault("W2")
@pytest.mark.parametrize(("cores", "parts"), [(2, 3), (4, 5)])
def test_stop_judges_what_every_stage_has_in_hand(cores: int, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "cores", lambda: cores)
    line, kept = stopped_with_all_at_hand(Gated(), parts)
    numbers = list(range(1, parts + 1))
    assert [v.part for v in kept.verdicts] == numbers
    assert [v.label for v in kept.verdicts] == [tiny.LABELS[n % 3] for n in numbers]
    assert line.failure is None and line.summary.judged == parts


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_every_frame_is_judged_once_however_many_threads_there_are(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "cores", lambda: cores)
    _, summary, kept = inspected(ListSource(frames(30)))
    assert [v.frame for v in kept.verdicts] == list(range(30)) and summary.dropped == 0


@pytest.mark.parametrize("cores", [2, 4])
def test_frame_that_cannot_be_made_ready_ends_the_run_after_those_before(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_module, "cores", lambda: cores)
    flat = msgspec.structs.replace(frame(3), image=np.zeros((4, 4), np.uint8))
    line, _, kept = inspected(ListSource([*frames(3), flat]))
    assert isinstance(line.failure, FrameError)
    assert [v.verdict == "FAULT" for v in kept.verdicts] == [False, False, False, True]


@pytest.mark.fault("W2")
def test_stop_does_not_wait_for_a_slow_model_to_judge_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for what is at hand: a model that needs 0.7 s for each part gets no further than the third after the stop."""
    monkeypatch.setattr(line_module, "cores", lambda: 4)
    line, kept = stopped_with_all_at_hand(Gated(0.7), 5)
    assert [v.part for v in kept.verdicts] == [1, 2, 3, 4, 5], "each has its verdict"
    assert kept.verdicts[0].label is not None, "that with the model"
    assert kept.verdicts[-1].reason == STOPPED.reason and kept.verdicts[-1].label is None
    assert line.failure is None


class Breaking:
    """A sink whose reader goes away at the third verdict."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self._error = error
        self._left = 3

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        self._left -= 1
        if self._left == 0:
            raise self._error()

    def close(self) -> None:
        pass


def test_sink_that_breaks_ends_the_run_and_its_threads() -> None:
    before = threading.active_count()
    source = ListSource(endless(), every_s=0.001)
    line = Line(source, Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE), [Breaking(BrokenPipeError)])
    with pytest.raises(BrokenPipeError):
        line.run()
    assert source.closed == 1
    assert threading.active_count() == before


def test_latency_runs_from_arrival_to_verdict() -> None:
    late = [Frame(0, "x", tiny.plain("red"), time.monotonic() - 2.0, 0.0)]
    _, _, kept = inspected(ListSource(late))
    assert 2000 <= kept.verdicts[0].latency_ms < 10_000


def test_summary_holds_the_times_of_every_stage() -> None:
    _, summary, _ = inspected(ListSource(frames(20)), wait_s=0.002)
    assert set(summary.stages_ms) == {"capture", "preprocess", "inference", "output"}
    assert summary.stages_ms["inference"]["p50_ms"] >= 2.0
    for row in summary.stages_ms.values():
        assert 0 <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert summary.frames_per_second == pytest.approx(20 / summary.seconds, rel=0.01)


def test_percentiles_of_known_values() -> None:
    assert percentiles([float(n) for n in range(101)]) == {
        "p50_ms": 50.0,
        "p90_ms": 90.0,
        "p99_ms": 99.0,
        "max_ms": 100.0,
    }
    assert percentiles([]) == {}
