"""The climb: rungs are tried in their order until one passes the gate or the time is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, TypeVar

import msgspec

from edgetl.errors import ExportError, PrecisionError
from edgetl.exporter.ladder.gate import Outcome
from edgetl.exporter.ladder.rungs import Rung

Model = TypeVar("Model")
INT8 = "int8"


class Tried(msgspec.Struct, Generic[Model]):
    """What trying a rung gives: the models, how the gate found each, and the bytes of each file."""

    models: Model
    outcomes: tuple[Outcome, ...]
    bytes: dict[str, int]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One rung as it is told to people: its figures, its time, or the error that ended it. `precision` is its files'."""

    rung: str
    means: str
    precision: str = INT8
    seconds: float
    passed: bool
    outcomes: tuple[Outcome, ...] = ()
    bytes: dict[str, int] = {}
    error: str = ""


class Climb(msgspec.Struct, frozen=True, kw_only=True):
    """Every rung tried, and which one ships; `ended` says why it stopped."""

    attempts: tuple[Attempt, ...]
    chosen: str | None
    ended: Literal["passed", "no rung left", "out of time"]
    seconds: float


def climb(
    rungs: tuple[Rung, ...],
    attempt: Callable[[Rung, float], Tried[Model]],
    clock: Callable[[], float],
    budget_s: float,
    tell: Callable[[Attempt], None],
) -> tuple[Climb, Tried[Model] | None]:
    """Tries rungs until one passes. `attempt` is told the seconds left; no rung begins after the last of them.

    An ExportError on the first rung is the net's own and is raised; on a later one it only ends that rung. A PrecisionError ends all
    rungs of that precision, and is raised where no other gives a model.
    """
    begun = clock()
    attempts: list[Attempt] = []
    lacking: dict[str, PrecisionError] = {}
    for rung in rungs:
        start, precision = clock(), rung.quantization.precision
        if precision in lacking:
            continue
        if attempts and start - begun >= budget_s:
            if not any(a.outcomes for a in attempts):
                raise ExportError(
                    f"{attempts[0].error}; the time of --budget was up before rung {rung.name}: give it more, or name the rung"
                )
            return _ended(attempts, None, "out of time", clock() - begun), None
        try:
            tried = attempt(rung, budget_s - (start - begun))
        except ExportError as error:
            if isinstance(error, PrecisionError):
                lacking[precision] = error
            elif not attempts:
                raise
            attempts.append(_failed(rung, clock() - start, str(error)))
            tell(attempts[-1])
            continue
        attempts.append(_noted(rung, clock() - start, tried))
        tell(attempts[-1])
        if attempts[-1].passed:
            return _ended(attempts, rung.name, "passed", clock() - begun), tried
    if lacking and not any(a.outcomes for a in attempts):
        raise next(iter(lacking.values()))
    return _ended(attempts, None, "no rung left", clock() - begun), None


def _noted(rung: Rung, seconds: float, tried: Tried[Model]) -> Attempt:
    return Attempt(
        rung=rung.name,
        means=rung.means,
        precision=rung.quantization.precision,
        seconds=round(seconds, 2),
        passed=all(outcome.passed for outcome in tried.outcomes),
        outcomes=tried.outcomes,
        bytes=tried.bytes,
    )


def _failed(rung: Rung, seconds: float, error: str) -> Attempt:
    how = rung.quantization.precision
    return Attempt(
        rung=rung.name, means=rung.means, precision=how, seconds=round(seconds, 2), passed=False, error=error
    )


def _ended(
    attempts: list[Attempt],
    chosen: str | None,
    ended: Literal["passed", "no rung left", "out of time"],
    seconds: float,
) -> Climb:
    return Climb(attempts=tuple(attempts), chosen=chosen, ended=ended, seconds=round(seconds, 2))


def refusal(climb: Climb) -> str:
    """Why no bundle was written, in one line: the limits that the nearest rung broke."""
    judged = [a for a in climb.attempts if a.outcomes]
    nearest = _nearest(judged)
    broken = next(o for o in nearest.outcomes if not o.passed)
    rungs = f"rung {nearest.rung}" + (f", the nearest of {len(judged)} tried" if len(judged) > 1 else "")
    why = "; the time of --budget was up" if climb.ended == "out of time" else ""
    changed = "; ".join(broken.changed[:3]) or "none"
    return (
        f"{broken.model} ({rungs}) {' and '.join(broken.reasons)}, judged on {broken.pictures} pictures; "
        f"no bundle was written{why}. Decisions that changed, first of {len(broken.changed)}: {changed}"
    )


def short_of_int8(climb: Climb) -> str:
    """Where a file ships that does not compute in int8 throughout: which int8 rung came nearest, and what limits it broke.
    Nothing where int8 ships, or was not tried."""
    ships = next((a for a in climb.attempts if a.passed), None)
    tried = [a for a in climb.attempts if a.precision == INT8]
    judged = [a for a in tried if a.outcomes]
    if ships is None or ships.precision == INT8 or not tried:
        return ""
    if not judged:
        return f"what ships is {ships.precision} and slower than int8 on most devices, which this net cannot have: {tried[0].error}"
    nearest = _nearest(judged)
    broken = "; ".join(f"{o.model} {' and '.join(o.reasons)}" for o in nearest.outcomes if not o.passed)
    return (
        f"what ships is {ships.precision} and slower than int8 on most devices, since no int8 rung passed; of {len(judged)} the nearest "
        f"was {nearest.rung}, where {broken}. Wider limits would ship it; a net that was trained through, or more pictures, bears int8 better"
    )


def _nearest(judged: list[Attempt]) -> Attempt:
    return min(judged, key=lambda a: max(o.flips_percent for o in a.outcomes))
