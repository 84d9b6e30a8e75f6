"""How the line is doing: one record that page, metrics, health check, watchdog and heartbeat all read.

The loop writes into a `StatusBoard` from its threads; readers take a `LineStatus`, which never changes again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from edgetl.runtime.verdict import NOT_JUDGED, Verdict

LineState = Literal["starting", "running", "stuck", "stopped", "failed"]

_LATENCIES = 1024  # the newest, for percentiles of what the line does now
_RATE_WINDOW_S = 10.0
_MINUTES = 24 * 60  # of history: a day
_LAST = 32  # verdicts kept for people to look at
STUCK_AFTER_S = 3.0


class SourceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether frames come. `detail` says what is wrong, or how the source is set; never with a password.

    `reconnects`: how often a camera came back; `restarts`: how often its process had to be started anew; `skipped`:
    frames that were passed over before they reached the loop, because newer ones had come.
    """

    name: str
    ok: bool = True
    detail: str = ""
    reconnects: int = 0
    restarts: int = 0
    skipped: int = 0


class SinkHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an output takes what it is given: how many verdicts wait for it, were delivered, and had to be dropped."""

    name: str
    ok: bool = True
    detail: str = ""
    waiting: int = 0
    delivered: int = 0
    dropped: int = 0


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """The verdicts of one minute; `minute` counts from the line's start."""

    minute: int
    verdicts: dict[str, int]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a board has counted since `started_s`, and when the last frame came (None: none yet), both monotonic."""

    started_s: float
    frame_at_s: float | None
    frames: int
    dropped: int
    dropped_parts: int
    verdicts: dict[str, int]
    labels: dict[str, int]
    minutes: tuple[Minute, ...]


class LineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the line. Times in seconds, latencies in milliseconds from a frame's arrival to its verdict.

    `yield_share` is OK / (OK + NG), None before the first of them. `last` holds the newest verdict first. An age is
    None while there was none yet. `drift` and `throttled` say in words what is the matter, and are empty when nothing is.

    `last_progress_age_s` counts from the newest frame that went through the whole loop; a line that runs and lets none
    through is `stuck`. `ready`: a part that came now would be judged.
    """

    schema: int = 1
    state: LineState = "starting"
    device: str = ""
    version: str = ""
    bundle: str = ""
    model: str = ""
    interpreter: str = ""
    threads: int = 0
    uptime_s: float = 0.0
    frames: int = 0
    dropped: int = 0
    dropped_parts: int = 0
    judged: int = 0
    verdicts: dict[str, int] = msgspec.field(default_factory=lambda: {"OK": 0, "NG": 0, "UNKNOWN": 0, "FAULT": 0})
    labels: dict[str, int] = msgspec.field(default_factory=dict)
    yield_share: float | None = None
    verdicts_per_second: float = 0.0
    latency_ms: dict[str, float] = msgspec.field(default_factory=dict)
    last: tuple[Verdict, ...] = ()
    last_frame_age_s: float | None = None
    last_verdict_age_s: float | None = None
    last_progress_age_s: float | None = None
    ready: bool = False
    source: SourceHealth | None = None
    sinks: tuple[SinkHealth, ...] = ()
    temperature_c: float | None = None
    throttled: str = ""
    drift: str = ""
    error: str | None = None


class HasHealth(Protocol):
    """An output that can say how it is."""

    def health(self) -> SinkHealth:
        """Its health now; called from any thread and never waits."""


class SourceWithHealth(Protocol):
    """A source that can say how it is."""

    def health(self) -> SourceHealth:
        """Its health now; called from any thread and never waits."""


class StatusBoard:
    """Where the loop writes what happened. Every method is safe from any thread and cheap enough for each frame."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        before: Counts | None = None,
        stuck_after_s: float = STUCK_AFTER_S,
        **facts: Any,
    ) -> None:
        """`facts` are fields of LineStatus that are known from the start: device, version, bundle, ... Counting goes
        on from `before`, which another board on the same clock has counted. `stuck_after_s` is longer than a source
        needs to say that it has no frames."""
        self._clock = clock
        self._stuck_after_s = stuck_after_s
        self._progress_at: float | None = None
        self._trusted = False
        self._lock = threading.Lock()
        self._base = LineStatus(**facts)
        before = before or Counts(
            started_s=clock(), frame_at_s=None, frames=0, dropped=0, dropped_parts=0, verdicts={}, labels={}, minutes=()
        )
        self._started = before.started_s
        self._frames, self._dropped, self._dropped_parts = before.frames, before.dropped, before.dropped_parts
        self._frame_at = before.frame_at_s
        self._verdicts = {**dict.fromkeys(("OK", "NG", "UNKNOWN", "FAULT"), 0), **before.verdicts}
        self._labels = dict(before.labels)
        self._last: deque[Verdict] = deque(maxlen=_LAST)
        self._times: deque[float] = deque(maxlen=_LATENCIES)
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._minutes = deque(((m.minute, dict(m.verdicts)) for m in before.minutes), maxlen=_MINUTES)
        self._outputs: tuple[HasHealth, ...] = ()
        self._source: SourceWithHealth | None = None

    def tell(self, **facts: Any) -> None:
        """Sets fields of LineStatus that the board does not count itself: state, source, temperature_c, drift, ..."""
        with self._lock:
            self._base = msgspec.structs.replace(self._base, **facts)

    def drifting(self) -> bool:
        """Whether something drifts now; cheap enough to ask for each verdict."""
        return bool(self._base.drift)

    def watch(self, outputs: Sequence[object]) -> None:
        """From now on the health of those of `outputs`, or of their `members`, that can tell it is part of the status."""
        members = [member for output in outputs for member in getattr(output, "members", (output,))]
        self._outputs = tuple(m for m in members if callable(getattr(m, "health", None)))  # type: ignore[misc]

    def watch_source(self, source: object) -> None:
        """From now on the source's own word on its health is part of the status, if it has one."""
        if callable(getattr(source, "health", None)):
            self._source = source  # type: ignore[assignment]

    def frame(self, *, dropped: bool = False) -> None:
        """A frame came; `dropped`: an older one had to go for it."""
        with self._lock:
            self._frames += 1
            self._dropped += dropped
            self._frame_at = self._clock()

    def progress(self, *, trusted: bool) -> None:
        """A frame went through the whole loop; `trusted`: it could be judged by, and brought no FAULT.

        Told from the judging thread alone, and the one mark by which everybody tells a line that inspects from one
        that is stuck: a camera, a server and a timer go on without the model.
        """
        with self._lock:
            self._progress_at, self._trusted = self._clock(), trusted

    def stuck(self) -> bool:
        """Whether the line runs and yet lets no frame through."""
        return self._state() == "stuck"

    def ready(self) -> bool:
        """Whether a part that came now would be judged: the loop moves, and its newest frame could be trusted."""
        return self._trusted and self._state() == "running"

    def _state(self) -> LineState:
        state, at = self._base.state, self._progress_at
        if state == "running" and at is not None and self._clock() - at > self._stuck_after_s:
            return "stuck"
        return state

    def verdict(self, verdict: Verdict) -> None:
        """A verdict was given."""
        now = self._clock()
        with self._lock:
            self._verdicts[verdict.verdict] += 1
            self._dropped_parts += verdict.reason == NOT_JUDGED
            if verdict.label is not None:
                self._labels[verdict.label] = self._labels.get(verdict.label, 0) + 1
            self._last.appendleft(verdict)
            self._times.append(now)
            self._latencies.append(verdict.latency_ms)
            self._minute(int((now - self._started) // 60))[verdict.verdict] += 1

    def _minute(self, number: int) -> dict[str, int]:
        if not self._minutes or self._minutes[-1][0] != number:
            self._minutes.append((number, dict.fromkeys(self._verdicts, 0)))
        return self._minutes[-1][1]

    def minutes(self) -> tuple[Minute, ...]:
        """The verdicts of each minute of the last day in which there were any, oldest first."""
        with self._lock:
            return tuple(Minute(minute=number, verdicts=dict(counts)) for number, counts in self._minutes)

    def counts(self) -> Counts:
        """What was counted so far."""
        minutes = self.minutes()
        with self._lock:
            return Counts(
                started_s=self._started,
                frame_at_s=self._frame_at,
                frames=self._frames,
                dropped=self._dropped,
                dropped_parts=self._dropped_parts,
                verdicts=dict(self._verdicts),
                labels=dict(self._labels),
                minutes=minutes,
            )

    def snapshot(self) -> LineStatus:
        """The status now."""
        sinks = tuple(output.health() for output in self._outputs)  # outside the lock: an output has locks of its own
        source = self._source.health() if self._source is not None else self._base.source
        now = self._clock()
        with self._lock:
            judged = self._verdicts["OK"] + self._verdicts["NG"]
            return msgspec.structs.replace(
                self._base,
                state=self._state(),
                uptime_s=now - self._started,
                frames=self._frames,
                dropped=self._dropped,
                dropped_parts=self._dropped_parts,
                judged=sum(self._verdicts.values()),
                verdicts=dict(self._verdicts),
                labels=dict(self._labels),
                yield_share=self._verdicts["OK"] / judged if judged else None,
                verdicts_per_second=_rate(self._times, now),
                latency_ms=percentiles(self._latencies),
                last=tuple(self._last),
                last_frame_age_s=None if self._frame_at is None else now - self._frame_at,
                last_verdict_age_s=now - self._times[-1] if self._times else None,
                last_progress_age_s=None if self._progress_at is None else now - self._progress_at,
                ready=self.ready(),
                source=source,
                sinks=sinks,
            )


def percentiles(values: Sequence[float] | deque[float]) -> dict[str, float]:
    """p50, p90, p99 and max of durations in milliseconds; empty without values."""
    if not values:
        return {}
    p50, p90, p99, top = np.percentile(np.fromiter(values, np.float64), [50, 90, 99, 100])
    return {"p50_ms": float(p50), "p90_ms": float(p90), "p99_ms": float(p99), "max_ms": float(top)}


def _rate(times: deque[float], now: float) -> float:
    """Verdicts a second over the last ten seconds, or over as many as are kept."""
    recent = [t for t in times if now - t <= _RATE_WINDOW_S]
    if len(recent) < 2 or now <= recent[0]:
        return 0.0
    return round(len(recent) / (now - recent[0]), 2)
