"""Inference alone: every model of a bundle in every interpreter installed here, with each number of threads."""

from __future__ import annotations

import hashlib
import time

import msgspec

from edgetl.benchmarks.roofline.ceiling import Ceiling, Machine
from edgetl.benchmarks.timing import Effort, timed
from edgetl.errors import ModelError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.graphs.work import Work, work_of
from edgetl.runtime.interpreters import available, open_named
from edgetl.runtime.interpreters.registry import engines, format_of
from edgetl.runtime.manifest import Precision
from edgetl.runtime.preprocess import Image, preprocess
from edgetl.runtime.spare import cores
from edgetl.runtime.status import percentiles


class Row(msgspec.Struct, frozen=True):
    """Inference alone, of one model in one interpreter with one number of threads.

    `steady`: the times settled within 2 % before the measured runs. `cut`: the time ran out before there were as many runs as
    asked, so the far percentiles rest on few. `ceiling`: the least time that the graph can take on this machine, None where
    that is not known; `roofline` is its share of p50. `graph` names the graph whatever its weights, where its work is known and
    the processor does it.
    """

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
    steady: bool
    cut: bool
    graph: str | None
    ceiling: Ceiling | None = None
    roofline: float | None = None

    @property
    def series(self) -> str:
        """The name of its timings among all that a report keeps."""
        return f"{self.precision} in {self.interpreter}, threads {self.threads}"


class Candidate(msgspec.Struct, frozen=True):
    """What is to be timed."""

    interpreter: str
    precision: Precision
    threads: int


def candidates(bundle: Bundle) -> list[Candidate]:
    """Every precision of the bundle in every interpreter that reads it, with each number of threads."""
    precisions: tuple[Precision, ...] = ("int8", "mixed", "int16", "float16", "float32")
    return [
        Candidate(name, precision, threads)
        for name in (*available(), *engines())
        for precision in precisions
        if bundle.model(format_of(name), precision) is not None
        for threads in thread_counts()
    ]


def thread_counts() -> list[int]:
    """Powers of two up to the cores this process may use."""
    most = cores()
    return [n for n in (1, 2, 4, 8, 16) if n <= most]


def row_of(
    bundle: Bundle, wanted: Candidate, frames: list[Image], effort: Effort, here: Machine
) -> tuple[Row, list[float]]:
    """One row, still without its ceiling, and every timing of it. Before and after it the machine's peak is looked at."""
    work = work_in(bundle, wanted)
    here.look(work, wanted.threads)
    start = time.perf_counter()
    interpreter = open_named(bundle, wanted.interpreter, wanted.threads, wanted.precision)
    loaded = time.perf_counter()
    images = [preprocess(frame, bundle.manifest.preprocessing) for frame in frames]
    begun = time.perf_counter()
    interpreter.raw(images[0])
    first = (time.perf_counter() - begun) * 1000
    timing = timed(lambda i: interpreter.raw(images[i % len(images)]), effort)
    name, figures = interpreter.info.model, rounded(percentiles(timing.times_ms))
    here.look(work, wanted.threads)
    on_processor = " " not in interpreter.info.version  # an accelerator's name stands behind the version
    row = Row(
        name, wanted.precision, wanted.interpreter, wanted.threads, len(timing.times_ms), round((loaded - start) * 1000, 3),
        round(first, 3), figures["p50_ms"], figures["p90_ms"], figures["p99_ms"], figures["max_ms"],
        steady=timing.warm_up.steady, cut=timing.cut,
        graph=None if work is None or not on_processor else graph_name(work),
    )  # fmt: skip
    return row, timing.times_ms


def with_ceilings(bundle: Bundle, rows: list[Row], here: Machine) -> list[Row]:
    """The rows with what the machine could do at its best; one on an accelerator, or of a file without shapes, has none."""
    return [row if row.graph is None else _with_ceiling(bundle, row, here) for row in rows]


def _with_ceiling(bundle: Bundle, row: Row, here: Machine) -> Row:
    found = here.ceiling(work_of(bundle.read(row.model), row.model), row.threads)
    return msgspec.structs.replace(row, ceiling=found, roofline=round(found.ms / row.p50_ms, 4))


def work_in(bundle: Bundle, wanted: Candidate) -> Work | None:
    """What one inference takes; None for a file that does not say its shapes."""
    record = bundle.model(format_of(wanted.interpreter), wanted.precision)
    try:
        return None if record is None else work_of(bundle.read(record.path), record.path)
    except ModelError:
        return None


def graph_name(work: Work) -> str:
    """A short hash of the operators' kinds and sizes: equal for two trainings of one backbone with as many labels."""
    return hashlib.sha256(msgspec.json.encode(work.operators)).hexdigest()[:12]


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """To a tenth of a microsecond."""
    return {name: round(value, 4) for name, value in figures.items()}
