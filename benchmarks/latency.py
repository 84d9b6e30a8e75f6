"""Measures how long each stage of an inspection takes, alone and end to end, for every model of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgetl.benchmarks import cold
from edgetl.benchmarks.accuracy import measured_accuracy
from edgetl.benchmarks.judgement import Conditions, judged
from edgetl.benchmarks.looks import Looks
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.notes import notes_on
from edgetl.benchmarks.report import Report
from edgetl.benchmarks.roofline.ceiling import Machine
from edgetl.benchmarks.stages import Samples, Stages, frames_of
from edgetl.benchmarks.sustained import Minute, drift, sustain
from edgetl.benchmarks.sweep import Row, candidates, rounded, row_of, with_ceilings
from edgetl.benchmarks.timing import FULL, Effort
from edgetl.errors import ModelError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.interpreters import open_named
from edgetl.runtime.preprocess import Image
from edgetl.runtime.status import percentiles

Progress = Callable[[str], None]
_STARTS = 5  # of a new process


class Wanted(msgspec.Struct, frozen=True):
    """What to measure beside the latencies: for how many minutes on end, and labelled pictures to judge the file by."""

    effort: Effort = FULL
    minutes: int = 0
    data: Path | None = None
    budget_ms: float | None = None


def bench(bundle: Bundle, wanted: Wanted, progress: Progress) -> tuple[Report, Samples]:
    """Sweeps interpreters, precisions and threads, then measures the stages with the fastest int8 one."""
    effort, looks = wanted.effort, Looks()
    here = Machine(min(0.3, effort.seconds / 10))
    frames = frames_of(bundle)
    rows, samples = _swept(bundle, effort, frames, here, looks, progress)
    best = _fastest_int8(bundle, rows)
    progress(f"stages with {best.interpreter}, {best.threads} threads")
    interpreter = open_named(bundle, best.interpreter, best.threads)
    stage = Stages(bundle, interpreter, frames)
    staged, timing = stage.measure(effort)
    looks.look()
    minutes, kept = _sustained(stage, wanted.minutes, progress)
    samples.update({**staged, **{f"minute {n}": times for n, times in enumerate(kept, start=1)}})
    accuracy = measured_accuracy(bundle, interpreter, wanted.data)
    end_to_end, where = rounded(percentiles(staged["end_to_end"])), machine()
    judgement = judged(Conditions(
        steady=timing.warm_up.steady and best.steady, slowed=looks.said(*(minute.slowed for minute in minutes)), accuracy=accuracy,
        p90_ms=end_to_end["p90_ms"], budget_ms=wanted.budget_ms, drift=drift(minutes),
    ))  # fmt: skip
    report = Report(
        bundle=str(bundle.path),
        bundle_sha256=hashlib.sha256(bundle.path.read_bytes()).hexdigest(),
        quick=effort != FULL,
        machine=where,
        warm_up=timing.warm_up,
        chosen=f"{best.model} in {best.interpreter}, {best.threads} threads",
        end_to_end=end_to_end,
        stages={name: rounded(percentiles(times)) for name, times in staged.items() if name != "end_to_end"},
        sweep=rows,
        peaks=here.peaks,
        int8_speedup=_speedup(rows, best),
        cold=cold.measure(bundle.path, best.interpreter, best.threads, _STARTS),
        accuracy=accuracy,
        sustained=minutes,
        judgement=judgement,
        notes=[*notes_on(rows, where), *_notes_on_runs(rows, effort)],
    )
    return report, samples


def _swept(
    bundle: Bundle, effort: Effort, frames: list[Image], here: Machine, looks: Looks, progress: Progress
) -> tuple[list[Row], Samples]:
    rows: list[Row] = []
    samples: Samples = {}
    for one in candidates(bundle):
        progress(f"{one.interpreter} {one.precision} with {one.threads} thread{'s' if one.threads > 1 else ''}")
        row, times = row_of(bundle, one, frames, effort, here)
        looks.look()
        rows.append(row)
        samples[row.series] = times
    return with_ceilings(bundle, rows, here), samples


def _fastest_int8(bundle: Bundle, rows: list[Row]) -> Row:
    int8 = [row for row in rows if row.precision != "float32"]  # or what ships in its place
    if not int8:
        raise ModelError(f"{bundle.path}: no int8 model that an interpreter installed here can read")
    return min(int8, key=lambda row: row.p50_ms)


def _speedup(rows: list[Row], best: Row) -> float | None:
    floats = [row.p50_ms for row in rows if row.precision == "float32" and row.interpreter == best.interpreter]
    return round(min(floats) / best.p50_ms, 3) if floats else None


def _notes_on_runs(rows: list[Row], effort: Effort) -> list[str]:
    notes = [
        f"{row.series}: the times did not settle within 2 % during warm-up; something else runs on this machine"
        for row in rows
        if not row.steady
    ]
    notes += [
        f"{row.series}: {row.roofline:.0%} of the roofline; something else ran whenever the peak was measured"
        for row in rows
        if row.roofline is not None and row.roofline > 1.05
    ]
    return notes + [
        f"{row.series}: only {row.runs} of {effort.runs} runs within {effort.most_seconds:g} s; p99 rests on few"
        for row in rows
        if row.cut
    ]


def _sustained(stage: Stages, minutes: int, progress: Progress) -> tuple[list[Minute], list[list[float]]]:
    if minutes:
        progress(f"without a pause for {minutes} minutes")
    return sustain(stage.step, minutes)
