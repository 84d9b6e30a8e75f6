"""Limits of the verdicts from what is asked: at most so many escapes, or what each mistake costs."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.decision import Limits

CONFIDENCE = 0.95


class Costs(msgspec.Struct, frozen=True):
    """What a bad part that passes, a good part that is rejected, and a part that a person must look at cost, in one unit."""

    escape: float
    false_alarm: float
    look: float | None = None


class Rate(msgspec.Struct, frozen=True):
    """`count` of `of`, and the largest rate that such a count leaves possible (one-sided, 95 %)."""

    count: int
    of: int
    rate: float | None
    at_most: float


class Achieved(msgspec.Struct, frozen=True):
    """What limits come to on pictures: bad parts judged OK, good parts judged NG, and parts left undecided."""

    escapes: Rate
    false_alarms: Rate
    unknown: Rate


def limits_for_costs(costs: Costs) -> Limits:
    """The verdict with the smallest expected cost at each chance of being bad, where chances mean what they say."""
    even = costs.false_alarm / (costs.escape + costs.false_alarm)
    if costs.look is None:
        return Limits(even, even)
    ok_below, ng_above = min(1.0, costs.look / costs.escape), max(0.0, 1 - costs.look / costs.false_alarm)
    return Limits(ok_below, ng_above) if ok_below < ng_above else Limits(even, even)


def limits_for_escapes(chances: NDArray[np.float64], bad: NDArray[np.bool_], max_escape: float) -> Limits:
    """The most parts passed while at most a share `max_escape` of the bad ones passes.

    `chances` (n) of being bad and whether each part is `bad`. The limit lies, in log odds, half way between the first
    bad part that must not pass and the part below it, since the next bad part will not lie exactly there. What is above it
    but more likely good than bad is UNKNOWN.
    """
    ordered = np.sort(chances[bad])
    first = ordered[min(math.floor(max_escape * len(ordered)), len(ordered) - 1)]
    below = chances[chances < first]
    limit = _between(float(below.max()), float(first)) if below.size else float(first) / 2
    return Limits(min(limit, 0.5), 0.5)


def _between(low: float, high: float) -> float:
    odds = [math.log((p + 1e-12) / (1 - p + 1e-12)) for p in (low, high)]
    return 1 / (1 + math.exp(-sum(odds) / 2))


def achieved(chances: NDArray[np.float64], bad: NDArray[np.bool_], limits: Limits) -> Achieved:
    """What the limits come to on these pictures."""
    ok, ng = chances <= limits.ok_below, chances >= limits.ng_above
    return Achieved(
        escapes=rate(int((ok & ~ng & bad).sum()), int(bad.sum())),
        false_alarms=rate(int((ng & ~bad).sum()), int((~bad).sum())),
        unknown=rate(int((~ok & ~ng).sum()), len(chances)),
    )


def rate(count: int, of: int) -> Rate:
    """A rate with its upper limit."""
    return Rate(count, of, count / of if of else None, upper_limit(count, of))


def upper_limit(count: int, of: int) -> float:
    """The rate above which `count` or fewer of `of` would come up in less than 5 % of such trials (C. Clopper and E.
    Pearson, 1934); 1 without trials."""
    low, high = 0.0, 1.0
    while of > count and high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(count, of, middle) > 1 - CONFIDENCE else (low, middle)
    return high


def _tail(count: int, of: int, p: float) -> float:
    """The chance of `count` or fewer successes in `of` trials."""
    logs = [
        math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * math.log(p) + (of - k) * math.log1p(-p)
        for k in range(count + 1)
    ]
    return math.fsum(map(math.exp, logs))


def bad_parts_needed(max_escape: float, escapes: int = 0) -> int:
    """How many bad parts must be judged in all, with no more than these escapes, before the claim `max_escape` can be made (95 %)."""
    least = math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-max_escape))
    if escapes == 0:
        return least
    most = least
    while upper_limit(escapes, most) > max_escape:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if upper_limit(escapes, middle) > max_escape else (least, middle)
    return most
