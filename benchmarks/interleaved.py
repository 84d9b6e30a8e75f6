"""Two files timed in turn, so that whatever else the machine does strikes both alike."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import msgspec

from edgetl.benchmarks.stages import frames_of
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.interpreters import Interpreter, open_named
from edgetl.runtime.preprocess import Image, preprocess

ROUNDS, RUNS = 30, 20


class Ratio(msgspec.Struct, frozen=True):
    """Median milliseconds of an inference, and how many times faster int8 was than float: the median of the rounds' ratios,
    with the lowest and the highest of the middle nine tenths."""

    int8_ms: float
    float_ms: float
    times_faster: float
    low: float
    high: float
    rounds: int


def int8_against_float(bundle: Path, threads: int = 1, rounds: int = ROUNDS) -> Ratio:
    """What ships and the float file of the bundle, in LiteRT, on its own golden pictures."""
    with open_bundle(bundle) as opened:
        images = [preprocess(frame, opened.manifest.preprocessing) for frame in frames_of(opened)]
        ships, plain = open_named(opened, "litert", threads), open_named(opened, "litert", threads, "float32")
    for model in (ships, plain):
        _milliseconds(model, images)  # warms up
    pairs = [(_milliseconds(ships, images), _milliseconds(plain, images)) for _ in range(rounds)]
    ratios = sorted(slow / fast for fast, slow in pairs)
    cut = len(ratios) // 20
    return Ratio(
        int8_ms=round(statistics.median(fast for fast, _ in pairs), 3),
        float_ms=round(statistics.median(slow for _, slow in pairs), 3),
        times_faster=round(statistics.median(ratios), 2),
        low=round(ratios[cut], 2),
        high=round(ratios[-1 - cut], 2),
        rounds=rounds,
    )


def _milliseconds(model: Interpreter, images: list[Image]) -> float:
    """The median of one block of inferences."""
    took = []
    for run in range(RUNS):
        start = time.perf_counter()
        model.raw(images[run % len(images)])
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)
