"""The score of a run over the simulated line: missed, wrong, twice, escaped and false alarms, each for itself."""

from __future__ import annotations

import pytest

from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.score import LineScore, Scorer
from edgetl.runtime.sim.part import LABELS
from edgetl.runtime.sources import Frame
from edgetl.runtime.sources.sim import SimSource
from edgetl.runtime.verdict import Verdict

SOURCE = SimSource.from_address("sim:parts=40,seed=3,defect_share=0.5,width=160,height=120")
TRUTH = {part: SOURCE.conveyor.truth(part) for part in range(1, 41)}
RULE = DecisionRule(labels=LABELS, ok_labels=("ok",))
GOOD = [part for part, label in TRUTH.items() if label == "ok"]
BAD = [part for part, label in TRUTH.items() if label != "ok"]


def said(scorer: Scorer, part: int | None, label: str | None, verdict: str | None = None) -> None:
    frame = Frame(0, "sim:", None, 0.0, 0.0, part=part)
    kind = verdict or ("OK" if label == "ok" else "NG")
    scorer.show(
        frame,
        Verdict(sequence=1, verdict=kind, label=label, source="sim:", frame=0, part=part, time_s=0.0, latency_ms=1.0),  # type: ignore[arg-type]
    )


@pytest.fixture
def scorer() -> Scorer:
    return Scorer(SOURCE, RULE)


def test_all_right_is_all_right(scorer: Scorer) -> None:
    for part, label in TRUTH.items():
        said(scorer, part, label)
    assert scorer.score() == LineScore(parts=40)


def test_parts_without_a_verdict_are_missed(scorer: Scorer) -> None:
    for part in list(TRUTH)[:30]:
        said(scorer, part, TRUTH[part])
    scorer.show(Frame(0, "sim:", None, 0.0, 0.0, part=31), None)
    assert scorer.score() == LineScore(parts=40, missed=10)


def test_second_verdict_is_counted_and_changes_nothing(scorer: Scorer) -> None:
    for part, label in TRUTH.items():
        said(scorer, part, label)
    said(scorer, GOOD[0], "scratch")
    assert scorer.score() == LineScore(parts=40, twice=1)


def test_escapes_and_false_alarms_are_told_apart(scorer: Scorer) -> None:
    for part, label in TRUTH.items():
        said(scorer, part, {GOOD[0]: "chip", GOOD[1]: "stain", BAD[0]: "ok"}.get(part, label))
    assert scorer.score() == LineScore(parts=40, wrong=3, escaped=1, false_alarms=2)


def test_another_defect_is_wrong_and_no_escape(scorer: Scorer) -> None:
    part = BAD[0]
    said(scorer, part, next(label for label in set(TRUTH.values()) - {"ok", TRUTH[part]}))
    assert scorer.score() == LineScore(parts=40, missed=39, wrong=1)


@pytest.mark.parametrize("verdict", ["UNKNOWN", "FAULT"])
def test_no_answer_is_wrong_but_lets_nothing_escape(scorer: Scorer, verdict: str) -> None:
    said(scorer, BAD[0], TRUTH[BAD[0]] if verdict == "UNKNOWN" else None, verdict)
    said(scorer, GOOD[0], "ok" if verdict == "UNKNOWN" else None, verdict)
    score = scorer.score()
    assert (score.wrong, score.escaped, score.false_alarms) == (2, 0, 1)


def test_bundle_with_labels_of_its_own_is_held_to_the_side_alone() -> None:
    scorer = Scorer(SOURCE, DecisionRule(labels=("good", "anomaly"), ok_labels=("good",)))
    for part in TRUTH:
        verdict = "OK" if part in GOOD[1:] or part == BAD[0] else "NG"
        said(scorer, part, "good" if verdict == "OK" else "anomaly", verdict)
    assert scorer.score() == LineScore(parts=40, wrong=2, escaped=1, false_alarms=1)


def test_frames_without_a_part_are_not_scored(scorer: Scorer) -> None:
    said(scorer, None, "ok")
    assert scorer.score() == LineScore(parts=40, missed=40)


def test_endless_line_counts_up_to_the_last_part_seen() -> None:
    source = SimSource.from_address("sim:seed=3,width=160,height=120")
    scorer = Scorer(source, RULE)
    for part in (1, 2, 4):
        said(scorer, part, source.conveyor.truth(part))
    assert scorer.score() == LineScore(parts=4, missed=1)
