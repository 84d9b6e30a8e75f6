"""The stages of an inspection, timed one by one and end to end."""

from __future__ import annotations

import time
from itertools import pairwise

import cv2
import numpy as np

from edgetl.benchmarks.timing import Effort, Timing, timed
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import decide
from edgetl.runtime.golden import read_golden
from edgetl.runtime.interpreters import Interpreter
from edgetl.runtime.jpeg import decode_jpeg
from edgetl.runtime.picture import decode
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.runtime.verdict import Verdict, to_json

FRAME_SIZE = (720, 1280)  # rows and columns: golden pictures are shown to the stages at a usual camera's size
_QUALITY = 90  # of the JPEGs, about that of USB cameras

Samples = dict[str, list[float]]  # every timing in milliseconds, by stage and `end_to_end`


def frames_of(bundle: Bundle) -> list[Image]:
    """The golden pictures, enlarged to a camera's frame: real content at a real size."""
    golden = read_golden(bundle)
    frames = [decode(bundle.read(p.path), p.path) for p in golden.pictures]
    height, width = FRAME_SIZE
    return [cv2.resize(f, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False) for f in frames]


class Stages:
    """All stages of an inspection in turn, as a single stream; a clock is read between them. The camera is one that sends
    JPEGs, as most on USB do: capture is the decoding."""

    def __init__(self, bundle: Bundle, interpreter: Interpreter, frames: list[Image]) -> None:
        self._manifest = bundle.manifest
        self._interpreter = interpreter
        self._sent = [
            cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes() for frame in frames
        ]
        height, width = FRAME_SIZE
        self._memory = memoryview(bytearray(height * width * 3))
        names = ("capture", "preprocess", "inference", "decision", "output", "end_to_end")
        self._times: Samples = {name: [] for name in names}

    def measure(self, effort: Effort) -> tuple[Samples, Timing]:
        """Every timing after the warm-up, by stage and end to end, and how they came about."""
        timing = timed(self.step, effort)
        return {name: values[-len(timing.times_ms) :] for name, values in self._times.items()}, timing

    def step(self, i: int) -> None:
        """One frame through all stages."""
        marks = [time.perf_counter()]
        frame = decode_jpeg(self._sent[i % len(self._sent)], "frame", self._memory)
        marks.append(time.perf_counter())
        image = preprocess(frame, self._manifest.preprocessing)
        marks.append(time.perf_counter())
        logits = self._interpreter.logits(image)
        marks.append(time.perf_counter())
        decision = decide(logits, self._manifest.rule)
        marks.append(time.perf_counter())
        verdict = Verdict(
            sequence=i, verdict=decision.verdict, label=decision.label, score=decision.score,
            source="bench", frame=i, time_s=0.0, latency_ms=0.0,
        )  # fmt: skip
        to_json(verdict)
        marks.append(time.perf_counter())
        spans = [end - begin for begin, end in pairwise(marks)]
        for name, seconds in zip(self._times, [*spans, marks[-1] - marks[0]], strict=True):
            self._times[name].append(seconds * 1000)
