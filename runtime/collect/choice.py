"""Which frames are kept, and which of the kept ones go when the quota is full. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from edgetl.runtime.collect.record import CollectSettings, Reason
from edgetl.runtime.verdict import VerdictKind

# The last to go comes last: a reject is what a line learns most from, and what an audit asks for.
RANK: dict[Reason, int] = {"random": 0, "unsure": 1, "drift": 2, "reject": 3}


def reasons_of(
    verdict: VerdictKind, score: float | None, drifted: bool, draw: float, settings: CollectSettings
) -> tuple[Reason, ...]:
    """Why a frame is worth keeping; empty if it is not. `draw` is a random number from 0 to 1.

    A FAULT has no trustworthy picture: nothing can be learned from it.
    """
    if verdict == "FAULT":
        return ()
    found: list[Reason] = []
    if verdict == "NG":
        found.append("reject")
    if drifted:
        found.append("drift")
    if verdict == "UNKNOWN" or (score is not None and score < settings.unsure_below):
        found.append("unsure")
    if draw < settings.random_share:
        found.append("random")
    return tuple(found)


class Allowance:
    """At most so many frames a minute for each reason, so that a bad hour neither wears the card nor fills it."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left: dict[Reason, tuple[float, float]] = {}  # tokens, and when they were counted

    def take(self, reasons: Iterable[Reason], now_s: float) -> tuple[Reason, ...]:
        """Those of the reasons that have some of their minute left; each of them is charged."""
        granted = []
        for reason in reasons:
            tokens, since = self._left.get(reason, (float(self._per_minute), now_s))
            tokens = min(self._per_minute, tokens + (now_s - since) * self._per_minute / 60)
            if tokens >= 1:
                granted.append(reason)
                tokens -= 1
            self._left[reason] = (tokens, now_s)
        return tuple(granted)


class Kept(msgspec.Struct, frozen=True):
    """One kept frame as the quota sees it; `order` rises with time."""

    name: str
    size_bytes: int
    rank: int
    order: int


def rank_of(reasons: Iterable[Reason]) -> int:
    """How long a frame is to be kept, by its best reason."""
    return max((RANK[reason] for reason in reasons), default=0)


def victims(kept: Iterable[Kept], newcomer: Kept, max_bytes: int) -> list[Kept] | None:
    """What must go so that the newcomer fits: the lowest rank first, and in it the oldest.

    None where it cannot have a place: it is too large, or only higher ranks could make room.
    """
    kept = list(kept)
    excess = sum(k.size_bytes for k in kept) + newcomer.size_bytes - max_bytes
    gone: list[Kept] = []
    for candidate in sorted(kept, key=lambda k: (k.rank, k.order)):
        if excess <= 0:
            break
        if candidate.rank > newcomer.rank:
            return None
        gone.append(candidate)
        excess -= candidate.size_bytes
    return gone if excess <= 0 else None
