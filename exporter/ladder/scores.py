"""The gate of one-class bundles: besides verdicts at the threshold, whether the scores still tell bad from good."""

from __future__ import annotations

import msgspec
import numpy as np

from edgetl.exporter.ladder.gate import Limits, Outcome, Scores, allowed
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.metrics import auroc


def with_scores(
    outcome: Outcome, truth: dict[str, str], before: dict[str, float], after: dict[str, float], rule: DecisionRule,
    limits: Limits,
) -> Outcome:  # fmt: skip
    """The outcome with what the scores (picture to log odds) say; `--max-drop` limits the area's loss too, in points."""
    paths = sorted(before)
    bad = np.array([truth[p] not in rule.ok_labels for p in paths])
    ours, theirs = (np.array([scores[p] for p in paths]) for scores in (before, after))
    areas = [found.value if (found := auroc(s, bad)) is not None else None for s in (ours, theirs)]
    scores = Scores(round(float(np.corrcoef(ours, theirs)[0, 1]), 4) if len(paths) > 1 else 1.0, *areas)
    reasons = outcome.reasons
    if scores.auroc_before is not None and scores.auroc_after is not None:
        lost = 100 * (scores.auroc_before - scores.auroc_after)
        # One bad part that falls below all good ones costs its share of the area.
        if lost > allowed(limits.max_drop, 100 / int(bad.sum())):
            reasons = (*reasons, f"loses {lost:.2f} points of AUROC, more than --max-drop {limits.max_drop:g}")
    return msgspec.structs.replace(outcome, scores=scores, reasons=reasons)
