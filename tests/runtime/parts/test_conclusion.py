"""Voting over frames and regions: known answers for known opinions."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edgetl.errors import FrameError, UsageError
from edgetl.runtime.decision import DecisionRule, Limits, decide, why_unsure
from edgetl.runtime.inspector import Opinion
from edgetl.runtime.parts.conclusion import NO_FRAME, Reading, conclude
from edgetl.runtime.parts.regions import Region, cut, pixels, regions_of
from edgetl.runtime.parts.settings import RegionSettings, VotingSettings
from edgetl.runtime.parts.votes import Answer

RULE = DecisionRule(labels=("ok", "scratch", "stain"), ok_labels=("ok",), min_score=0.6)
WHOLE = (Region("", None, RULE),)


def opinion(ok: float, scratch: float, stain: float, rule: DecisionRule = RULE) -> Opinion:
    """The opinion with these probabilities."""
    logits = np.log(np.array([ok, scratch, stain], np.float32) + 1e-9)
    return Opinion(decide(logits, rule), logits)


GOOD = opinion(0.9, 0.05, 0.05)
SCRATCH = opinion(0.1, 0.8, 0.1)
STAIN = opinion(0.1, 0.2, 0.7)
UNSURE = opinion(0.4, 0.35, 0.25)


def answer(*opinions: Opinion, method: str = "majority", min_frames: int = 1) -> Answer:
    voting = VotingSettings(method=method, min_frames=min_frames)  # type: ignore[arg-type]
    return conclude([Reading((o,)) for o in opinions], WHOLE, voting).answer


def test_one_frame_is_its_own_answer() -> None:
    assert answer(GOOD) == Answer("OK", "ok", pytest.approx(0.9, abs=1e-4))
    assert answer(UNSURE) == Answer("UNKNOWN", "ok", pytest.approx(0.4, abs=1e-4), "score below 0.6")


def test_reason_of_an_unknown_by_limits_is_the_chance_that_they_leave_open() -> None:
    rule = msgspec.structs.replace(RULE, limits=Limits(0.1, 0.5), min_score=0.0)
    between = opinion(0.7, 0.2, 0.1, rule)
    voted = [
        conclude([Reading((between,))] * frames, (Region("", None, rule),), VotingSettings(method="majority")).answer
        for frames in (1, 2)
    ]
    assert [a.verdict for a in voted] == ["UNKNOWN", "UNKNOWN"]
    assert voted[0].reason == "chance of being bad between 10 and 50 %"
    assert voted[1].reason == "no frame was sure: chance of being bad between 10 and 50 %"
    surer = msgspec.structs.replace(rule, min_score=0.95)  # which an OK must reach besides
    assert why_unsure(surer) == "chance of being bad between 5 and 50 %"


def test_majority_of_the_sure_frames_decides() -> None:
    assert answer(GOOD, GOOD, SCRATCH).verdict == "OK"
    assert answer(GOOD, SCRATCH, SCRATCH) == Answer("NG", "scratch", pytest.approx(0.8, abs=1e-4))
    assert answer(UNSURE, UNSURE, GOOD) == Answer("OK", "ok", pytest.approx(0.9, abs=1e-4)), "the unsure abstain"


def test_defects_of_several_kinds_stand_together_against_ok() -> None:
    assert answer(GOOD, GOOD, SCRATCH, SCRATCH, STAIN) == Answer("NG", "scratch", pytest.approx(0.8, abs=1e-4))


def test_tie_is_unknown() -> None:
    tie = answer(GOOD, SCRATCH)
    assert (tie.verdict, tie.label, tie.reason) == ("UNKNOWN", "ok", "1 frames say OK and as many NG")


def test_only_unsure_frames_are_unknown() -> None:
    assert answer(UNSURE, UNSURE).verdict == "UNKNOWN"
    assert answer(UNSURE, UNSURE, method="any-ng").verdict == "UNKNOWN"


def test_one_ng_is_enough_where_asked() -> None:
    assert answer(GOOD, GOOD, GOOD, STAIN, method="any-ng").verdict == "NG"
    assert answer(GOOD, GOOD, UNSURE, method="any-ng").verdict == "OK"


def test_mean_weighs_how_sure_the_frames_are() -> None:
    """Two frames are barely for OK, one is certain of a scratch."""
    barely, certain = opinion(0.62, 0.38, 0.0), opinion(0.0, 1.0, 0.0)
    assert answer(barely, barely, certain).verdict == "OK"
    mean = answer(barely, barely, certain, method="mean")
    assert (mean.label, mean.score) == ("scratch", pytest.approx((0.38 + 0.38 + 1.0) / 3, abs=1e-3))
    assert mean.verdict == "UNKNOWN", "0.587 is below the bundle's 0.6"


def test_too_few_frames_are_unknown() -> None:
    few = answer(GOOD, GOOD, min_frames=3)
    assert (few.verdict, few.label, few.reason) == ("UNKNOWN", "ok", "2 of 3 frames were judged")


def test_part_without_frames_is_a_fault() -> None:
    conclusion = conclude([], WHOLE, VotingSettings())
    assert (conclusion.answer, conclusion.frames) == (Answer("FAULT", reason=NO_FRAME), 0)


def test_lost_frames_have_no_vote_but_are_not_forgotten() -> None:
    lost, doubtful = Reading(doubt="cable"), Reading(doubt="blurred", kind="UNKNOWN")
    voting = VotingSettings()
    assert conclude([lost, lost], WHOLE, voting).answer == Answer("FAULT", reason="cable")
    assert conclude([lost, doubtful], WHOLE, voting).answer == Answer("UNKNOWN", reason="blurred")
    seen = conclude([lost, Reading((SCRATCH,)), doubtful], WHOLE, voting)
    assert (seen.answer.verdict, seen.frames) == ("NG", 1)


def two_places() -> tuple[Region, ...]:
    return regions_of(
        [RegionSettings(name="left", box=(0, 0, 0.5, 1)), RegionSettings(name="right", box=(0.5, 0, 1, 1), expect="stain")],
        RULE,
    )  # fmt: skip


def test_each_region_has_its_own_expected_answer() -> None:
    regions = two_places()
    assert [r.expected for r in regions] == [("ok",), ("stain",)]
    stain_expected = opinion(0.1, 0.2, 0.7, regions[1].rule)
    assert conclude([Reading((GOOD, stain_expected))], regions, VotingSettings()).answer.verdict == "OK"
    good_unexpected = opinion(0.9, 0.05, 0.05, regions[1].rule)
    wrong = conclude([Reading((GOOD, good_unexpected))], regions, VotingSettings()).answer
    assert (wrong.verdict, wrong.label, wrong.reason) == ("NG", "ok", "right: ok, expected stain")


def test_worst_region_decides_and_ok_is_as_sure_as_its_least_sure_region() -> None:
    regions = two_places()
    both = opinion(0.05, 0.2, 0.75, regions[1].rule)
    assert conclude([Reading((GOOD, both))], regions, VotingSettings()).answer.score == pytest.approx(0.75, abs=1e-3)
    unsure = conclude([Reading((UNSURE, both))], regions, VotingSettings())
    assert (unsure.answer.verdict, unsure.answer.reason) == ("UNKNOWN", "left: score below 0.6")
    ng = conclude([Reading((UNSURE, opinion(0.05, 0.9, 0.05, regions[1].rule)))], regions, VotingSettings())
    assert ng.answer.verdict == "NG"
    assert [a.verdict for a in ng.regions] == ["UNKNOWN", "NG"]


def test_frames_vote_region_by_region() -> None:
    """Each region is wrong in one frame of three, never the same one."""
    regions = two_places()
    stain = opinion(0.05, 0.05, 0.9, regions[1].rule)
    scratch = opinion(0.05, 0.9, 0.05, regions[1].rule)
    readings = [Reading((SCRATCH, stain)), Reading((GOOD, scratch)), Reading((GOOD, stain))]
    assert conclude(readings, regions, VotingSettings()).answer.verdict == "OK"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([{"name": "a", "box": (0, 0, 1, 1), "expect": "dent"}], "expects dent; the bundle knows ok, scratch, stain"),
        ([{"name": "a", "box": (0, 0, 1, 1)}, {"name": "a", "box": (0, 0, 1, 1)}], "twice"),
    ],
)
def test_regions_that_cannot_be_meant_are_refused(settings: list[dict[str, object]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        regions_of([RegionSettings(**s) for s in settings], RULE)  # type: ignore[arg-type]


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0.2, 0.9, 0.4, 0.1), (-1, 0, 1, 1)])
def test_box_without_an_area_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError, match="box"):
        RegionSettings(name="a", box=box)


def test_boxes_in_pixels_and_in_fractions() -> None:
    assert pixels((0.25, 0.5, 0.75, 1.0), 640, 480) == (160, 240, 480, 480)
    assert pixels((5, 69, 261, 326), 566, 744) == (5, 69, 261, 326)
    picture = np.zeros((744, 566, 3), np.uint8)
    assert cut(picture, (5, 69, 261, 326)).shape == (257, 256, 3)


def test_region_beyond_the_frame_is_an_error_not_a_smaller_region() -> None:
    with pytest.raises(FrameError, match="does not lie in a frame of 320×240"):
        pixels((5, 69, 261, 326), 320, 240)
