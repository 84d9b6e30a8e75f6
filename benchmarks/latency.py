"""Measures how long each stage of an inspection takes, alone and end to end, for every model of a bundle."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from edgetl import __version__
from edgetl.errors import ModelError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import decide
from edgetl.runtime.golden import read_golden
from edgetl.runtime.interpreters import Interpreter, available, open_named
from edgetl.runtime.interpreters.registry import format_of
from edgetl.runtime.line import percentiles
from edgetl.runtime.manifest import Precision
from edgetl.runtime.picture import decode
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.runtime.verdict import Verdict, to_json

FRAME_SIZE = (720, 1280)  # rows and columns: golden pictures are shown to the stages at a usual camera's size
Progress = Callable[[str], None]


class Effort(msgspec.Struct, frozen=True):
    """How long to measure: warm-up and measured runs, both at least this many and this long."""

    warm_up_runs: int = 10
    warm_up_s: float = 2.0
    runs: int = 1024
    seconds: float = 60.0
    most_seconds: float = 120.0


FULL = Effort()
QUICK = Effort(warm_up_runs=10, warm_up_s=0.3, runs=200, seconds=1.0, most_seconds=4.0)


class Row(msgspec.Struct, frozen=True):
    """Inference alone, of one model in one interpreter with one number of threads."""

    model: str
    precision: str
    interpreter: str
    threads: int
    runs: int
    load_ms: float
    first_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Report(msgspec.Struct, kw_only=True):
    """Everything that `edgetl bench` found. Stages and end to end are of the fastest int8 row."""

    bundle: str
    quick: bool
    machine: dict[str, str]
    warm_up: dict[str, float]
    chosen: str
    end_to_end: dict[str, float]
    stages: dict[str, dict[str, float]]
    sweep: list[Row]
    int8_speedup: float | None


def bench(bundle: Bundle, effort: Effort, progress: Progress) -> Report:
    """Sweeps interpreters, precisions and threads, then measures the stages with the fastest int8 one."""
    frames = _frames(bundle)
    rows: list[Row] = []
    for name, precision, threads in _candidates(bundle):
        progress(f"{name} {precision} with {threads} thread{'s' if threads > 1 else ''}")
        rows.append(_sweep_row(bundle, name, precision, threads, frames, effort))
    int8 = [row for row in rows if row.precision == "int8"]
    if not int8:
        raise ModelError(f"{bundle.path}: no int8 model that an interpreter installed here can read")
    best = min(int8, key=lambda row: row.p50_ms)
    progress(f"stages with {best.interpreter}, {best.threads} threads")
    interpreter = open_named(bundle, best.interpreter, best.threads)
    stages, end_to_end, warm_up = _measure_stages(bundle, interpreter, frames, effort)
    floats = [row.p50_ms for row in rows if row.precision == "float32" and row.interpreter == best.interpreter]
    return Report(
        bundle=str(bundle.path),
        quick=effort != FULL,
        machine=machine(),
        warm_up=warm_up,
        chosen=f"{best.model} in {best.interpreter}, {best.threads} threads",
        end_to_end=end_to_end,
        stages=stages,
        sweep=rows,
        int8_speedup=round(min(floats) / best.p50_ms, 3) if floats else None,
    )


def machine() -> dict[str, str]:
    """What a figure depends on: processor, system and library versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith(("model name", "Model"))
        ),
        platform.processor(),
    )
    flags = next((line for line in _lines("/proc/cpuinfo") if line.startswith(("flags", "Features"))), "")
    known = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
    return {
        "processor": model,
        "architecture": platform.machine(),
        "int8_instructions": " ".join(name for name in known if name in flags.split()) or "none known",
        "system": platform.platform(),
        "python": platform.python_version(),
        "edgetl": __version__,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def thread_counts() -> list[int]:
    """Powers of two up to the cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    return [n for n in (1, 2, 4, 8, 16) if n <= cores]


def _candidates(bundle: Bundle) -> list[tuple[str, Precision, int]]:
    precisions: tuple[Precision, ...] = ("int8", "float32")
    return [
        (name, precision, threads)
        for name in available()
        for precision in precisions
        if bundle.model(format_of(name), precision) is not None
        for threads in thread_counts()
    ]


def _frames(bundle: Bundle) -> list[Image]:
    """The golden pictures, enlarged to a camera's frame: real content at a real size."""
    import cv2

    golden = read_golden(bundle)
    frames = [decode(bundle.read(p.path), p.path) for p in golden.pictures]
    height, width = FRAME_SIZE
    return [cv2.resize(f, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False) for f in frames]


def _sweep_row(
    bundle: Bundle, name: str, precision: Precision, threads: int, frames: list[Image], effort: Effort
) -> Row:
    start = time.perf_counter()
    interpreter = open_named(bundle, name, threads, precision)
    loaded = time.perf_counter()
    images = [preprocess(frame, bundle.manifest.preprocessing) for frame in frames]
    begun = time.perf_counter()
    interpreter.raw(images[0])
    first = (time.perf_counter() - begun) * 1000
    times, _ = _timed(lambda i: interpreter.raw(images[i % len(images)]), effort)
    return Row(
        interpreter.info.model, precision, name, threads, len(times), round((loaded - start) * 1000, 3), round(first, 3),
        **_rounded(percentiles(times)),
    )  # fmt: skip


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


def _timed(step: Callable[[int], object], effort: Effort) -> tuple[list[float], dict[str, float]]:
    """Milliseconds of each run after the warm-up, and what the warm-up took."""
    warmed = _warm_up(step, effort)
    times: list[float] = []
    started = time.perf_counter()
    while True:
        start = time.perf_counter()
        step(len(times))
        now = time.perf_counter()
        times.append((now - start) * 1000)
        spent = now - started
        if (len(times) >= effort.runs and spent >= effort.seconds) or spent >= effort.most_seconds:
            return times, warmed


def _warm_up(step: Callable[[int], object], effort: Effort) -> dict[str, float]:
    """Runs until at least the asked runs and seconds have passed and two medians in a row agree within 2 %."""
    times: list[float] = []
    started = time.perf_counter()
    block = max(5, effort.warm_up_runs // 2)
    while True:
        start = time.perf_counter()
        step(len(times))
        now = time.perf_counter()
        times.append((now - start) * 1000)
        if len(times) < max(effort.warm_up_runs, 2 * block) or now - started < effort.warm_up_s:
            continue
        last, before = statistics.median(times[-block:]), statistics.median(times[-2 * block : -block])
        steady = abs(last - before) <= 0.02 * before
        if steady or now - started >= 4 * effort.warm_up_s:
            return {"runs": len(times), "seconds": round(now - started, 3), "steady": float(steady)}


def _measure_stages(
    bundle: Bundle, interpreter: Interpreter, frames: list[Image], effort: Effort
) -> tuple[dict[str, dict[str, float]], dict[str, float], dict[str, float]]:
    """Each frame goes through all stages in turn, as a single stream; a clock is read between them."""
    manifest = bundle.manifest
    stages: dict[str, list[float]] = {name: [] for name in ("preprocess", "inference", "decision", "output")}

    def step(i: int) -> None:
        marks = [time.perf_counter()]
        image = preprocess(frames[i % len(frames)], manifest.preprocessing)
        marks.append(time.perf_counter())
        logits = interpreter.logits(image)
        marks.append(time.perf_counter())
        decision = decide(logits, manifest.rule)
        marks.append(time.perf_counter())
        verdict = Verdict(
            sequence=i, verdict=decision.verdict, label=decision.label, score=decision.score,
            source="bench", frame=i, time_s=0.0, latency_ms=0.0,
        )  # fmt: skip
        to_json(verdict)
        marks.append(time.perf_counter())
        for name, begin, end in zip(stages, marks, marks[1:], strict=False):
            stages[name].append((end - begin) * 1000)

    times, warm_up = _timed(step, effort)
    kept = {name: _rounded(percentiles(values[-len(times) :])) for name, values in stages.items()}
    return kept, _rounded(percentiles(times)), warm_up
