"""Contract 4: what is said about a part, as one versioned JSON line."""

from __future__ import annotations

from typing import Literal

import msgspec

VerdictKind = Literal["OK", "NG", "UNKNOWN", "FAULT"]
SCHEMA = 1
NOT_JUDGED = "not judged in time: the parts come faster than the model here judges them"


class Doubt(msgspec.Struct, frozen=True):
    """Why a frame gets no class: it cannot be trusted at all (FAULT), or its quality is doubtful (UNKNOWN)."""

    kind: Literal["FAULT", "UNKNOWN"]
    reason: str


class RegionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one region of a part says. `box` is x0, y0, x1, y1 in pixels of the frame, None without a frame."""

    name: str
    verdict: VerdictKind
    label: str | None
    score: float | None
    expected: tuple[str, ...]
    box: tuple[int, int, int, int] | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict.

    `OK` and `NG` carry a label and its score (probability, 0 to 1). `UNKNOWN` carries the best guess and says in
    `reason` why it is not trusted. `FAULT` (no trustworthy frame, no working model) never carries a label.
    `time_s` is the frame's arrival on the monotonic clock, or its place in a video; `latency_ms` runs from the
    frame's arrival to the verdict.

    Fields that are absent where they do not apply: `regions`; `frames`, how many of the part's frames were judged;
    `triggered_s`, when the part was signalled (monotonic clock); `device` and `time`, the wall clock in UTC, which
    is to be trusted if `synced`. (`device`, `sequence`) names a verdict wherever it goes.
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
    regions: tuple[RegionResult, ...] | msgspec.UnsetType = msgspec.UNSET
    frames: int | msgspec.UnsetType = msgspec.UNSET
    triggered_s: float | msgspec.UnsetType = msgspec.UNSET
    device: str | msgspec.UnsetType = msgspec.UNSET
    time: str | msgspec.UnsetType = msgspec.UNSET
    synced: bool | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.verdict == "FAULT" and self.label is not None:
            raise ValueError("a FAULT is never answered with a class")


_encoder = msgspec.json.Encoder()


def to_json(verdict: Verdict) -> str:
    """The verdict as one line of JSON, without the newline."""
    return _encoder.encode(verdict).decode()
