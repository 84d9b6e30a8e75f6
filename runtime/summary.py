"""What a run amounted to, and the times that its stages took."""

from __future__ import annotations

from collections import deque

import msgspec

from edgetl.runtime.interpreters.base import InterpreterInfo
from edgetl.runtime.status import percentiles
from edgetl.runtime.verdict import NOT_JUDGED, Verdict

_RECENT = 16384  # durations kept for the summary, so that memory does not grow with the shift

STAGES = ("capture", "preprocess", "inference", "output")


class Summary(msgspec.Struct, kw_only=True):
    """What a run amounted to. `dropped` counts frames, `dropped_parts` parts that were not judged in time. Times in milliseconds (percentiles 50, 90 and 99) and seconds; memory in MB."""

    frames: int = 0
    judged: int = 0
    dropped: int = 0
    dropped_parts: int = 0
    verdicts: dict[str, int] = msgspec.field(default_factory=lambda: {"OK": 0, "NG": 0, "UNKNOWN": 0, "FAULT": 0})
    labels: dict[str, int] = msgspec.field(default_factory=dict)
    seconds: float = 0.0
    frames_per_second: float = 0.0
    latency_ms: dict[str, float] = msgspec.field(default_factory=dict)
    stages_ms: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    interpreter: str = ""
    threads: int = 0
    model: str = ""
    error: str | None = None

    def count(self, verdict: Verdict) -> None:
        """One more verdict."""
        self.judged += 1
        self.verdicts[verdict.verdict] += 1
        self.dropped_parts += verdict.reason == NOT_JUDGED
        if verdict.label is not None:
            self.labels[verdict.label] = self.labels.get(verdict.label, 0) + 1

    def finish(self, seconds: float, info: InterpreterInfo, times: Times) -> None:
        """The end: how long it took, and with what."""
        self.interpreter, self.threads, self.model = info.name, info.threads, info.model
        self.seconds = round(seconds, 4)
        self.frames_per_second = round(self.judged / seconds, 2) if seconds else 0.0
        self.latency_ms = times.of("latency")
        self.stages_ms = {stage: figures for stage in STAGES if (figures := times.of(stage))}


class Times:
    """The newest durations of each stage, in milliseconds."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {name: deque(maxlen=_RECENT) for name in (*STAGES, "latency")}

    def add(self, stage: str, milliseconds: float) -> None:
        """One duration."""
        self._recent[stage].append(milliseconds)

    def of(self, stage: str) -> dict[str, float]:
        """Percentiles of a stage; empty without durations."""
        return percentiles(self._recent[stage])
