"""Times all candidates in turns, so that whatever else the machine does meanwhile hurts all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from edgetl.benchmarks.comparing import BLOCKS
from edgetl.benchmarks.tuning.candidates import Candidate
from edgetl.errors import ModelError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.golden import golden_inputs, read_golden, replay
from edgetl.runtime.interpreters import Interpreter, open_named
from edgetl.runtime.preprocess import Image

ROUNDS = 2 * BLOCKS
_SETTLED = 6  # rounds after which one that is far behind need not run on
_HOPELESS = 4.0  # times the fastest


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate as it was measured: the median of each round in milliseconds, and golden verdicts that are others in it
    (None for a file without golden answers). `trouble`: why it could not run, else empty."""

    candidate: Candidate
    rounds_ms: tuple[float, ...] = ()
    flips: int | None = None
    trouble: str = ""

    @property
    def interpreter(self) -> str:
        """The candidate's."""
        return self.candidate.interpreter

    @property
    def precision(self) -> str:
        """The candidate's."""
        return self.candidate.precision

    @property
    def threads(self) -> int:
        """The candidate's."""
        return self.candidate.threads

    @property
    def p50_ms(self) -> float:
        """The median over all rounds; infinite for one that could not run."""
        return statistics.median(self.rounds_ms) if self.rounds_ms else float("inf")


class _Runner:
    """One opened candidate."""

    def __init__(self, candidate: Candidate, interpreter: Interpreter, flips: int | None) -> None:
        self.candidate = candidate
        self.flips = flips
        self.medians: list[float] = []
        self._interpreter = interpreter

    def round(self, images: Sequence[Image], seconds: float) -> None:
        """Runs for so long, at least twice; the median counts."""
        times: list[float] = []
        begun = time.perf_counter()
        while len(times) < 2 or time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            self._interpreter.raw(images[len(times) % len(images)])
            times.append((time.perf_counter() - start) * 1000)
        self.medians.append(statistics.median(times))

    def result(self) -> Timed:
        return Timed(candidate=self.candidate, rounds_ms=tuple(self.medians), flips=self.flips)


def measure(
    bundle: Bundle, wanted: Sequence[Candidate], round_s: float, progress: Callable[[str], None]
) -> list[Timed]:
    """Opens every candidate, replays the golden set in it, and times all of them in turns on the golden pictures."""
    golden = read_golden(bundle)
    images, _ = golden_inputs(bundle, golden)
    runners, failed = [], []
    for candidate in wanted:
        try:
            interpreter = open_named(bundle, candidate.interpreter, candidate.threads, candidate.precision)
            flips = len(replay(bundle, golden, images, interpreter).flips) if candidate.ships else None
        except ModelError as error:
            failed.append(Timed(candidate=candidate, trouble=str(error)))
            continue
        runners.append(_Runner(candidate, interpreter, flips))
    progress(f"{len(runners)} candidates in {ROUNDS} turns")
    _in_turns(runners, images, round_s)
    return [*(runner.result() for runner in runners), *failed]


def _in_turns(runners: list[_Runner], images: Sequence[Image], round_s: float) -> None:
    for runner in runners:
        runner.round(images, round_s)
        runner.medians.clear()  # that was the warm-up
    running = list(runners)
    for number in range(ROUNDS):
        for runner in running:
            runner.round(images, round_s)
        if number + 1 == _SETTLED:
            best = min(statistics.median(r.medians) for r in running)
            running = [r for r in running if statistics.median(r.medians) <= _HOPELESS * best]
