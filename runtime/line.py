"""The inspection loop: capture, preprocessing and inference overlap in three threads, and each part gets one verdict.

What a camera sends while the model is busy is dropped, oldest first, and counted; of a file nothing is dropped.
A frame that was lost or cannot be trusted is a FAULT, never a class.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Protocol

import msgspec
import numpy as np

from edgetl.errors import EdgetlError, SourceError
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.mailbox import Mailbox
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame, Source
from edgetl.runtime.verdict import Verdict

_QUEUE = 2  # frames waiting between two stages; at 720p each is 2.8 MB
_RECENT = 16384  # latencies kept for the summary, so that memory does not grow with the shift

STAGES = ("capture", "preprocess", "inference", "output")


class Sink(Protocol):
    """Takes what the loop gives: every frame, with its verdict where it was judged."""

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """One frame; `verdict` is None for a frame that no part triggered."""

    def close(self) -> None:
        """Writes out what is still held."""


class Summary(msgspec.Struct, kw_only=True):
    """What a run amounted to. Times in milliseconds (percentiles 50, 90 and 99) and seconds; memory in MB."""

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


class _Prepared(msgspec.Struct):
    frame: Frame
    image: Image | None
    fault: str | None
    capture_ms: float
    preprocess_ms: float


def percentiles(values: deque[float] | list[float]) -> dict[str, float]:
    """p50, p90, p99 and max of durations in milliseconds; empty without values."""
    if not values:
        return {}
    p50, p90, p99, top = np.percentile(np.fromiter(values, np.float64), [50, 90, 99, 100])
    return {"p50_ms": float(p50), "p90_ms": float(p90), "p99_ms": float(p99), "max_ms": float(top)}


def _text(name: str) -> str:
    """A file's name may be any bytes; Python then holds half characters that neither JSON nor a terminal takes."""
    return name.encode("utf-8", "backslashreplace").decode()


class Line:
    """One run of the loop over a source."""

    def __init__(self, source: Source, inspector: Inspector, sinks: list[Sink], limit: int | None = None) -> None:
        self._source = source
        self._inspector = inspector
        self._sinks = sinks
        self._limit = limit
        keep_all = not source.live
        self._captured: Mailbox[tuple[Frame, float]] = Mailbox(
            _QUEUE if keep_all or source.triggered else 1,
            keep_all=keep_all,
            precious=lambda item: item[0].part is not None,
        )
        self._ready: Mailbox[_Prepared] = Mailbox(1 if source.live else _QUEUE, keep_all=True)
        self._stop = threading.Event()
        self._recent: dict[str, deque[float]] = {name: deque(maxlen=_RECENT) for name in (*STAGES, "latency")}
        self.summary = Summary()
        self.failure: EdgetlError | None = None

    def run(self) -> Summary:
        """Judges until the source ends, the limit is reached or `stop` is called.

        A source or model that fails ends the run with a last FAULT; what was wrong is then in `failure`.
        """
        threads = [threading.Thread(target=t, daemon=True) for t in (self._capture, self._prepare)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            self._judge_all()
        except EdgetlError as error:
            self.failure, self.summary.error = error, _text(str(error))
            self._fault(error)
        finally:
            self.stop()
            for thread in threads:
                thread.join()
            self._source.close()
        self._finish(time.monotonic() - started)
        return self.summary

    def stop(self) -> None:
        """Ends the run after the frame at hand; safe from a signal handler or another thread."""
        self._stop.set()
        self._captured.close()
        self._ready.close()

    def _capture(self) -> None:
        error: BaseException | None = None
        try:
            for _ in iter(int, 1) if self._limit is None else range(self._limit):
                start = time.perf_counter()
                frame = self._source.read()
                if frame is None or self._stop.is_set():
                    break
                self._count(frame, self._captured.put((frame, (time.perf_counter() - start) * 1000)))
        except Exception as caught:  # carried to the judging thread, which reports it
            error = caught
        self._captured.close(error)

    def _count(self, frame: Frame, dropped: tuple[Frame, float] | None) -> None:
        self.summary.frames += 1
        if dropped is not None and not self._stop.is_set():
            self.summary.dropped += 1
            self.summary.dropped_parts += dropped[0].part is not None

    def _prepare(self) -> None:
        error: BaseException | None = None
        try:
            while (item := self._captured.get()) is not None:
                self._ready.put(self._prepared(*item))
        except Exception as caught:  # as above
            error = caught
        self._ready.close(error)

    def _prepared(self, frame: Frame, capture_ms: float) -> _Prepared:
        if frame.image is None or (self._source.triggered and frame.part is None):
            return _Prepared(frame, None, frame.fault, capture_ms, 0.0)
        start = time.perf_counter()
        image = self._inspector.prepare(frame.image)
        return _Prepared(frame, image, None, capture_ms, (time.perf_counter() - start) * 1000)

    def _judge_all(self) -> None:
        while (item := self._ready.get()) is not None:
            verdict = None
            if item.image is not None:
                verdict = self._judged(item, item.image)
            elif item.fault is not None:
                verdict = self._verdict(item.frame, "FAULT", reason=item.fault)
            self._give(item.frame, verdict)

    def _judged(self, item: _Prepared, image: Image) -> Verdict:
        start = time.perf_counter()
        decision = self._inspector.judge(image)
        self._recent["inference"].append((time.perf_counter() - start) * 1000)
        self._recent["capture"].append(item.capture_ms)
        self._recent["preprocess"].append(item.preprocess_ms)
        reason = f"score below {self._inspector.rule.min_score:g}" if decision.verdict == "UNKNOWN" else None
        verdict = self._verdict(item.frame, decision.verdict, decision.label, decision.score, reason)
        self._recent["latency"].append(verdict.latency_ms)
        return verdict

    def _verdict(
        self, frame: Frame, kind: str, label: str | None = None, score: float | None = None, reason: str | None = None
    ) -> Verdict:
        self.summary.judged += 1
        self.summary.verdicts[kind] += 1
        if label is not None:
            self.summary.labels[label] = self.summary.labels.get(label, 0) + 1
        return Verdict(
            sequence=self.summary.judged,
            verdict=kind,  # type: ignore[arg-type]
            label=label,
            score=None if score is None else round(score, 5),
            reason=None if reason is None else _text(reason),
            source=_text(frame.name),
            frame=frame.index,
            part=frame.part,
            time_s=round(frame.time_s, 4),
            latency_ms=round((time.monotonic() - frame.arrived_s) * 1000, 3),
        )

    def _give(self, frame: Frame, verdict: Verdict | None) -> None:
        start = time.perf_counter()
        for sink in self._sinks:
            sink.show(frame, verdict)
        if verdict is not None:
            self._recent["output"].append((time.perf_counter() - start) * 1000)

    def _fault(self, error: EdgetlError) -> None:
        """The last word of a run that broke off: a FAULT for the frame that did not come or could not be judged."""
        now = time.monotonic()
        name = self._source.name
        frame = Frame(self.summary.frames, name, None, now, now, fault=str(error))
        kind = "source" if isinstance(error, SourceError) else "model"
        self._give(frame, self._verdict(frame, "FAULT", reason=f"{kind}: {error}"))

    def _finish(self, seconds: float) -> None:
        info = self._inspector.interpreter.info
        summary = self.summary
        summary.interpreter, summary.threads, summary.model = info.name, info.threads, info.model
        summary.seconds = round(seconds, 4)
        summary.frames_per_second = round(summary.judged / seconds, 2) if seconds else 0.0
        summary.latency_ms = percentiles(self._recent["latency"])
        summary.stages_ms = {stage: percentiles(self._recent[stage]) for stage in STAGES if self._recent[stage]}
