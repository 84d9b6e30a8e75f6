"""Compares verdicts with the truth that the simulated conveyor knows."""

from __future__ import annotations

import msgspec

from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.sim.part import OK_LABELS
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.sources.sim import SimSource
from edgetl.runtime.verdict import Verdict


class LineScore(msgspec.Struct):
    """`parts` passed the light barrier; `missed` got no verdict; `wrong` got another label than the truth, or none.

    `escaped`: bad parts judged OK; `false_alarms`: good parts not judged OK. Of a bundle that does not know the conveyor's
    labels (its own are `good` and `anomaly`, say) only the side is held against it.
    """

    parts: int = 0
    missed: int = 0
    wrong: int = 0
    twice: int = 0
    escaped: int = 0
    false_alarms: int = 0


class Scorer:
    """A sink that keeps score. The last part may still be under way when a run is cut off; it then counts as missed."""

    def __init__(self, source: SimSource, rule: DecisionRule) -> None:
        self._source = source
        self._rule = rule
        self._judged: set[int] = set()
        self._last = 0
        self._score = LineScore()

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Scores the verdict of a part."""
        if frame.part is not None:
            self._last = max(self._last, frame.part)
        if verdict is None or verdict.part is None:
            return
        if verdict.part in self._judged:
            self._score.twice += 1
            return
        self._judged.add(verdict.part)
        truth = self._source.conveyor.truth(verdict.part)
        known, passed = truth in self._rule.labels, verdict.verdict == "OK"
        good = truth in (self._rule.ok_labels if known else OK_LABELS)
        right = verdict.label == truth if known else passed == good
        self._score.wrong += not right or verdict.verdict not in ("OK", "NG")
        self._score.escaped += not good and passed
        self._score.false_alarms += good and not passed

    def close(self) -> None:
        """Nothing to write."""

    def score(self) -> LineScore:
        """The score so far. Parts are numbered from 1, so those without a verdict are known."""
        expected = self._source.settings.parts or self._last
        return msgspec.structs.replace(self._score, parts=expected, missed=expected - len(self._judged))
