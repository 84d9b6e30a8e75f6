"""Contract 4: what is said about a part, as one versioned JSON line."""

from __future__ import annotations

from typing import Literal

import msgspec

VerdictKind = Literal["OK", "NG", "UNKNOWN", "FAULT"]
SCHEMA = 1


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict.

    `OK` and `NG` carry a label and its score (probability, 0 to 1). `UNKNOWN` carries the best guess and says in
    `reason` why it is not trusted. `FAULT` (no trustworthy frame, no working model) never carries a label.
    `time_s` is the frame's arrival on the monotonic clock, or its place in a video; `latency_ms` runs from the
    frame's arrival to the verdict.
    """

    schema: int = SCHEMA
    sequence: int
    verdict: VerdictKind
    label: str | None = None
    score: float | None = None
    reason: str | None = None
    source: str
    frame: int
    part: int | None = None
    time_s: float
    latency_ms: float

    def __post_init__(self) -> None:
        if self.verdict == "FAULT" and self.label is not None:
            raise ValueError("a FAULT is never answered with a class")


_encoder = msgspec.json.Encoder()


def to_json(verdict: Verdict) -> str:
    """The verdict as one line of JSON, without the newline."""
    return _encoder.encode(verdict).decode()
