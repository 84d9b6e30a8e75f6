"""The readings of a part's frames, and the one answer that follows from them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgetl.runtime.inspector import Opinion
from edgetl.runtime.parts.regions import Region, together
from edgetl.runtime.parts.settings import VotingSettings
from edgetl.runtime.parts.votes import Answer, vote
from edgetl.runtime.verdict import VerdictKind

NO_FRAME = "no frame of this part came"


class Reading(msgspec.Struct, frozen=True):
    """What one frame gave: an opinion for each region, or the reason why it has none (`doubt`, `kind`)."""

    opinions: tuple[Opinion, ...] = ()
    doubt: str | None = None
    kind: VerdictKind = "FAULT"


class Conclusion(msgspec.Struct, frozen=True):
    """A part's answer, those of its regions, and how many frames were judged for it."""

    answer: Answer
    regions: tuple[Answer, ...]
    frames: int


def conclude(readings: Sequence[Reading], regions: Sequence[Region], voting: VotingSettings) -> Conclusion:
    """One answer from any number of readings, none included. Frames in doubt have no vote."""
    judged = [r.opinions for r in readings if r.doubt is None]
    if not judged:
        answer = _without_opinions(readings)
        return Conclusion(answer, tuple(answer for _ in regions), 0)
    answers = tuple(vote([opinions[n] for opinions in judged], region.rule, voting) for n, region in enumerate(regions))
    return Conclusion(together(regions, answers), answers, len(judged))


def _without_opinions(readings: Sequence[Reading]) -> Answer:
    """UNKNOWN if at least one frame was there but doubtful, else FAULT."""
    doubtful = next((r for r in readings if r.kind == "UNKNOWN"), readings[0] if readings else None)
    if doubtful is None:
        return Answer("FAULT", reason=NO_FRAME)
    return Answer(doubtful.kind, reason=doubtful.doubt)
