"""From what single frames say to one answer for a part: pure functions over values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from edgetl.runtime.decision import Decision, DecisionRule, decide_chances, probabilities, why_unsure
from edgetl.runtime.inspector import Opinion
from edgetl.runtime.parts.settings import VotingSettings
from edgetl.runtime.verdict import VerdictKind


class Answer(msgspec.Struct, frozen=True):
    """One verdict with its label (none for FAULT), score (0 to 1) and, where it is not OK or NG, the reason."""

    verdict: VerdictKind
    label: str | None = None
    score: float | None = None
    reason: str | None = None


def vote(opinions: Sequence[Opinion], rule: DecisionRule, voting: VotingSettings) -> Answer:
    """The answer of at least one frame's opinion about the same place."""
    if len(opinions) < voting.min_frames:
        best = _most_sure(opinions)
        return Answer("UNKNOWN", best.label, best.score, f"{len(opinions)} of {voting.min_frames} frames were judged")
    if len(opinions) == 1:
        return _of(opinions[0].decision, rule)
    if voting.method == "mean":
        return _mean(opinions, rule)
    return _count(opinions, rule, any_ng=voting.method == "any-ng")


def _of(decision: Decision, rule: DecisionRule) -> Answer:
    reason = why_unsure(rule) if decision.verdict == "UNKNOWN" else None
    return Answer(decision.verdict, decision.label, decision.score, reason)


def _mean(opinions: Sequence[Opinion], rule: DecisionRule) -> Answer:
    chances = np.mean([probabilities(o.logits, rule.temperature) for o in opinions], axis=0)
    return _of(decide_chances(chances, rule), rule)


def _count(opinions: Sequence[Opinion], rule: DecisionRule, *, any_ng: bool) -> Answer:
    """Frames that are not sure abstain. Defects of several kinds stand together against OK."""
    sure = [o.decision for o in opinions if o.decision.verdict in ("OK", "NG")]
    good = [d for d in sure if d.verdict == "OK"]
    bad = [d for d in sure if d.verdict == "NG"]
    if not sure:
        best = _most_sure(opinions)
        return Answer("UNKNOWN", best.label, best.score, f"no frame was sure: {why_unsure(rule)}")
    if any_ng and bad:
        return _leader(bad)
    if len(good) == len(bad):
        best = _most_sure(opinions)
        return Answer("UNKNOWN", best.label, best.score, f"{len(good)} frames say OK and as many NG")
    return _leader(good if len(good) > len(bad) else bad)


def _leader(decisions: Sequence[Decision]) -> Answer:
    """The label that most of them name, by score where equal; its score is the mean over those frames."""
    counts = Counter(d.label for d in decisions)
    label = max(counts, key=lambda name: (counts[name], _mean_score(decisions, name)))
    return Answer(decisions[0].verdict, label, _mean_score(decisions, label))


def _mean_score(decisions: Sequence[Decision], label: str) -> float:
    return float(np.mean([d.score for d in decisions if d.label == label]))


def _most_sure(opinions: Sequence[Opinion]) -> Decision:
    return max((o.decision for o in opinions), key=lambda d: d.score)
