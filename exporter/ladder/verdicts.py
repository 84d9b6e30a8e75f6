"""The gate's look at verdicts: a label may stay while the part goes from OK to UNKNOWN, which a line feels as much."""

from __future__ import annotations

import msgspec

from edgetl.exporter.ladder.gate import Limits, Outcome, Verdicts, allowed
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.metrics import Interval, wilson


def with_verdicts(
    outcome: Outcome, before: dict[str, str], after: dict[str, str], rule: DecisionRule, limits: Limits
) -> Outcome:
    """The outcome with what became of float's verdicts (picture to OK, NG or UNKNOWN). `--max-flips` limits their changes
    too where the rule has limits of its own, which somebody chose for a share of escapes; a classifier that is only asked
    for its likeliest label is UNKNOWN near `--min-score`, and there a verdict is as noisy as the score."""
    changed = sorted(path for path in before if before[path] != after[path])
    share = wilson(len(changed), len(before)) or Interval(0.0, 1.0)
    percent = 100 * len(changed) / len(before)
    verdicts = Verdicts(
        flips=len(changed),
        to_or_from_unknown=sum("UNKNOWN" in (before[path], after[path]) for path in changed),
        flips_percent=percent,
        flips_low=100 * share.low,
        flips_high=100 * share.high,
        gated=rule.limits is not None,
        changed=tuple(f"{path}: {before[path]} became {after[path]}" for path in changed),
    )
    reasons = outcome.reasons
    if verdicts.gated and percent > allowed(limits.max_flips, 100 / len(before)):
        reasons = (*reasons, f"changes {percent:.2f} % of the verdicts, more than --max-flips {limits.max_flips:g}")
    return msgspec.structs.replace(outcome, verdicts=verdicts, reasons=reasons)
