"""One part, one verdict, through the whole loop: voting, regions, cameras that go away, ends of every kind."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable

import cv2
import msgspec
import numpy as np
import pytest

from edgetl.runtime.inspector import Inspector
from edgetl.runtime.judging import Rules
from edgetl.runtime.line import Line
from edgetl.runtime.parts.gate import OutsideGate, SourceGate
from edgetl.runtime.parts.presence import PictureGate
from edgetl.runtime.parts.settings import (
    HttpTrigger,
    PictureTrigger,
    RegionSettings,
    SourceTrigger,
    VotingSettings,
)
from edgetl.runtime.score import Scorer
from edgetl.runtime.sources import Frame, open_source
from edgetl.runtime.sources.sim import SimSource
from edgetl.runtime.triggers import Inbox
from edgetl.runtime.verdict import Verdict
from tests.runtime import tiny
from tests.runtime.line_rig import Kept, ListSource, SlowInterpreter, frame


def inspector(wait_s: float = 0.0, fails_at: int | None = None) -> Inspector:
    return Inspector(SlowInterpreter(wait_s, fails_at), tiny.HOW, tiny.RULE)


def belt(colours: str, *, part_at: dict[int, int], lost: tuple[int, ...] = ()) -> Iterable[Frame]:
    """Frames by letters (r, g, b; n for an undecided grey), parts announced at some, pictures missing at others."""
    names = {"r": "red", "g": "green", "b": "blue", "n": "grey"}
    for index, letter in enumerate(colours):
        fault = "the cable" if index in lost else None
        yield frame(index, names[letter], part=part_at.get(index), fault=fault)


def judged(source: ListSource, *, frames: int = 1, method: str = "majority", wait_s: float = 0.0) -> Kept:
    kept = Kept()
    rules = Rules(voting=VotingSettings(method=method))  # type: ignore[arg-type]
    line = Line(source, inspector(wait_s), [kept], gate=SourceGate(SourceTrigger(frames=frames)), rules=rules)
    line.run()
    return kept


def test_frames_of_a_part_vote() -> None:
    source = ListSource(belt("rggrrgrrr", part_at={1: 1, 5: 2}), triggered=True)
    kept = judged(source, frames=3)
    assert [(v.part, v.verdict, v.frames, v.frame) for v in kept.verdicts] == [(1, "OK", 3, 3), (2, "NG", 3, 7)]
    assert len(kept.shown) == 9, "every frame is shown once"


def test_lost_frames_have_no_vote_and_a_part_of_lost_frames_is_a_fault() -> None:
    source = ListSource(belt("gggggg", part_at={0: 1, 3: 2}, lost=(1, 3, 4, 5)), triggered=True)
    kept = judged(source, frames=3)
    assert [(v.part, v.verdict, v.frames) for v in kept.verdicts] == [(1, "OK", 2), (2, "FAULT", 0)]
    assert kept.verdicts[1].reason == "the cable"


def test_next_part_closes_the_one_before_and_shows_its_last_frame() -> None:
    source = ListSource(belt("ggrr", part_at={0: 1, 2: 2}), triggered=True)
    kept = judged(source, frames=5)
    assert [(v.part, v.verdict, v.frame) for v in kept.verdicts] == [(1, "OK", 1), (2, "NG", 3)]


def test_camera_that_goes_away_between_parts_is_told_once() -> None:
    source = ListSource(
        belt("ggggggggg", part_at={0: 1, 8: 2}, lost=(2, 3, 4, 6)), triggered=True, live=True, every_s=0.01
    )
    kept = Kept()
    line = Line(source, inspector(), [kept])
    line.run()
    assert [(v.part, v.verdict, v.frame) for v in kept.verdicts] == [
        (1, "OK", 0), (None, "FAULT", 2), (None, "FAULT", 6), (2, "OK", 8)
    ]  # fmt: skip
    health = line.board.snapshot().source
    assert health is not None and health.ok


def test_status_says_while_the_camera_is_away() -> None:
    seen = []

    class Asking(Kept):
        def show(self, frame: Frame, verdict: object) -> None:
            seen.append(line.board.snapshot().source)

    source = ListSource(belt("ggg", part_at={}, lost=(1, 2)), live=True, every_s=0.02)
    line = Line(source, inspector(), [Asking()])
    line.run()
    assert seen[0] is not None and seen[0].ok
    assert seen[-1] is not None and (seen[-1].ok, seen[-1].detail) == (False, "the cable")


def four_colours(colours: tuple[str, str, str, str]) -> np.ndarray:
    """A picture of 96×80 in four quarters."""
    quarter = [tiny.plain(colour) for colour in colours]
    return np.vstack([np.hstack(quarter[:2]), np.hstack(quarter[2:])])


def test_regions_have_their_own_answers_and_are_told_one_by_one() -> None:
    regions = tuple(
        RegionSettings(name=name, box=box, expect=expect)
        for name, box, expect in [
            ("a", (0, 0, 0.5, 0.5), None), ("b", (48, 0, 96, 40), "red"),
            ("c", (0, 0.5, 0.5, 1), None), ("d", (48, 40, 96, 80), ("red", "blue")),
        ]
    )  # fmt: skip
    pictures = [four_colours(c) for c in [("green", "red", "green", "blue"), ("green", "green", "grey", "blue")]]
    source = ListSource([Frame(n, "x", p, 0.0, 0.0) for n, p in enumerate(pictures)])
    kept = Kept()
    Line(source, inspector(), [kept], rules=Rules(regions=regions)).run()
    good, bad = kept.verdicts
    assert (good.verdict, good.reason) == ("OK", None)
    assert (bad.verdict, bad.label, bad.reason) == ("NG", "green", "b: green, expected red")
    assert bad.regions is not msgspec.UNSET
    assert [(r.name, r.verdict, r.label) for r in bad.regions] == [
        ("a", "OK", "green"), ("b", "NG", "green"), ("c", "UNKNOWN", "red"), ("d", "OK", "blue")
    ]  # fmt: skip
    assert [r.box for r in bad.regions] == [(0, 0, 48, 40), (48, 0, 96, 40), (0, 40, 48, 80), (48, 40, 96, 80)]


def test_region_beyond_a_smaller_frame_is_a_fault_and_the_line_goes_on() -> None:
    regions = (RegionSettings(name="a", box=(40, 30, 96, 80), expect="green"),)
    sizes = [(96, 80), (48, 40), (96, 80)]
    source = ListSource([Frame(n, "x", tiny.plain("green", *size), 0.0, 0.0) for n, size in enumerate(sizes)])
    kept = Kept()
    Line(source, inspector(), [kept], rules=Rules(regions=regions)).run()
    assert [v.verdict for v in kept.verdicts] == ["OK", "FAULT", "OK"]
    assert "does not lie in a frame of 48×40" in str(kept.verdicts[1].reason)


@pytest.mark.fault("C7")
def test_smaller_frames_than_the_zone_was_drawn_on_are_faults_and_the_line_goes_on() -> None:
    """In the middle of a part, and between two: there told once, as a camera that is away."""
    belt_, part = tiny.plain("grey", 96, 80), tiny.plain("grey", 96, 80)
    part[:, 40:56] = tiny.plain("green", 16, 80)
    small = tiny.plain("grey", 48, 40)
    shown = [belt_, part, part, small, belt_, small, small, belt_, part, part, part]
    trigger = PictureTrigger(zone=(40, 0, 80, 80), learn_frames=1, settle_frames=1, frames=3)
    source = ListSource([Frame(n, "x", image, n / 10, n / 10) for n, image in enumerate(shown)], live=False)
    kept = Kept()
    line = Line(source, inspector(), [kept], gate=PictureGate(trigger))
    line.run()
    assert line.failure is None
    assert [(v.part, v.frame, v.frames) for v in kept.verdicts] == [
        (1, 3, 2), (None, 5, msgspec.UNSET), (2, 10, 3)
    ]  # fmt: skip
    assert "trigger" in str(kept.verdicts[1].reason) and "frame of 48×40" in str(kept.verdicts[1].reason)
    assert [v.verdict == "FAULT" for v in kept.verdicts] == [False, True, False]


def test_doubtful_frame_is_not_judged_and_says_why() -> None:
    from edgetl.runtime.verdict import Doubt

    source = ListSource(belt("grg", part_at={}))
    kept = Kept()
    line = Line(
        source, inspector(), [kept], trust=lambda f: Doubt("UNKNOWN", "too dark") if f.index == 1 else None
    )  # fmt: skip
    line.run()
    assert [(v.verdict, v.label, v.reason) for v in kept.verdicts][1] == ("UNKNOWN", None, "too dark")
    assert [v.verdict for v in kept.verdicts] == ["OK", "UNKNOWN", "OK"]


class StopsTheLine(Kept):
    """A sink that ends the line from within, after so many verdicts."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after
        self.line: Line | None = None

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        super().show(frame, verdict)
        if len(self.verdicts) == self._after and self.line is not None:
            self.line.stop()


@pytest.mark.parametrize("after", range(1, 6))
def test_stop_in_the_middle_leaves_no_announced_part_without_a_verdict(after: int) -> None:
    """Signals keep coming while the line is stopped; each one that was heard has its verdict."""
    inbox, kept = Inbox(), StopsTheLine(after)
    gate = OutsideGate(HttpTrigger(frames=3, timeout_s=60.0), inbox.take)
    source = ListSource((frame(n, "green") for n in range(10**9)), live=True, every_s=0.002)
    kept.line = line = Line(source, inspector(0.004), [kept], gate=gate)

    def signal() -> None:
        while not line._stop.is_set():
            inbox.put(time.monotonic())
            time.sleep(0.003)

    thread = threading.Thread(target=signal)
    thread.start()
    line.run()
    thread.join()
    heard = inbox.heard - len(inbox.take())
    assert heard >= after
    assert [v.part for v in kept.verdicts] == list(range(1, heard + 1))


def test_model_that_fails_leaves_no_announced_part_without_a_verdict() -> None:
    source = ListSource(belt("g" * 20, part_at={n: n + 1 for n in range(20)}), triggered=True)
    kept = Kept()
    line = Line(source, inspector(fails_at=4), [kept])
    line.run()
    parts = [v.part for v in kept.verdicts if v.part is not None]
    assert parts == list(range(1, len(parts) + 1)) and len(parts) >= 4
    assert {v.verdict for v in kept.verdicts[3:]} == {"FAULT"}
    assert (kept.verdicts[-1].part, kept.verdicts[-1].reason) == (None, "model: the accelerator went away")


def test_source_that_fails_ends_the_part_at_hand_with_what_it_has() -> None:
    from edgetl.errors import SourceError

    source = ListSource(belt("gg", part_at={0: 1}), triggered=True, error=SourceError("the cable"))
    kept = judged(source, frames=3)
    assert [(v.part, v.verdict, v.frames) for v in kept.verdicts] == [(1, "OK", 2), (None, "FAULT", msgspec.UNSET)]


@pytest.mark.parametrize(("trigger", "parts_per_minute"), [("source", 300), ("picture", 200)])
def test_each_part_of_a_fast_belt_gets_one_verdict_by_the_clock(trigger: str, parts_per_minute: int) -> None:
    """At the real pace, with a model that takes half of the time that a frame has. By the picture alone a part must
    leave the zone before the next one enters, which at 300 a minute and 30 frames a second it hardly does."""
    source = open_source(f"sim:parts=40,parts_per_minute={parts_per_minute},width=160,height=120,seed=4")
    assert isinstance(source, SimSource)
    gate = (
        SourceGate(SourceTrigger(frames=3))
        if trigger == "source"
        else PictureGate(PictureTrigger(zone=(0.45, 0.2, 0.55, 0.8), learn_frames=2, settle_frames=1, frames=2))
    )
    judge = inspector(0.015)
    kept, scorer = Kept(), Scorer(source, judge.rule)
    summary = Line(source, judge, [kept, scorer], gate=gate).run()
    assert Counter(v.part for v in kept.verdicts) == Counter(range(1, 41))
    score = scorer.score()
    assert (score.parts, score.missed, score.twice) == (40, 0, 0)
    assert summary.dropped_parts == sum(v.frames == 0 for v in kept.verdicts)


def test_simulated_outages_cost_frames_but_no_part() -> None:
    source = open_source("sim:parts=60,parts_per_minute=240,width=96,height=72,pace=fast,outages_per_minute=40,seed=2")
    kept = Kept()
    summary = Line(source, inspector(), [kept]).run()
    parts = [v for v in kept.verdicts if v.part is not None]
    assert [v.part for v in parts] == list(range(1, 61))
    assert 0 < sum(v.verdict == "FAULT" for v in parts) < 60
    assert all(v.reason == "the simulated camera is away" for v in kept.verdicts if v.verdict == "FAULT")
    assert summary.frames > 400


def test_verdicts_say_whose_and_when_if_the_line_does() -> None:
    from edgetl.runtime.judging import Stamp

    numbers = iter(range(700, 800))
    rules = Rules(
        next_sequence=lambda: next(numbers), stamp=lambda: Stamp(device="cell-3", time="2026-01-01T00:00:00Z", synced=False)
    )  # fmt: skip
    kept = Kept()
    Line(ListSource(belt("gr", part_at={})), inspector(), [kept], rules=rules).run()
    assert [(v.device, v.sequence, v.synced) for v in kept.verdicts] == [("cell-3", 700, False), ("cell-3", 701, False)]


def test_picture_of_a_part_is_drawn_with_its_regions() -> None:
    from edgetl.runtime.line_view import COLOURS, LineView

    regions = (RegionSettings(name="left", box=(0, 0, 0.5, 1)), RegionSettings(name="right", box=(0.5, 0, 1, 1)))
    picture = np.hstack([tiny.plain("green", 320, 480), tiny.plain("red", 320, 480)])
    kept = Kept()
    Line(ListSource([Frame(0, "x", picture, 0.0, 0.0)]), inspector(), [kept], rules=Rules(regions=regions)).run()
    view = LineView().draw(picture, kept.verdicts[0])
    for column, kind in ((12, "OK"), (332, "NG")):
        strip = view[200, column - 12 : column + 12].astype(int)
        assert (np.abs(strip - np.array(COLOURS[kind])).sum(axis=1) < 30).any(), kind
    assert cv2.countNonZero(view[:, :, 0]) > 0
