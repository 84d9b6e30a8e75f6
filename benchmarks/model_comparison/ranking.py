"""Who comes next and who is best: pure decisions on what was measured. Nothing here looks at test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgetl.benchmarks.comparing import REPEATABLE
from edgetl.benchmarks.model_comparison.candidate import Candidate, Plan, Row, Trained


def finalists(probes: Iterable[Trained], count: int) -> list[str]:
    """The models whose probes did best on val; of equals the one that trained faster."""
    return [t.candidate.model for t in sorted(probes, key=lambda t: (-t.val, t.seconds))[:count]]


def after_probes(best: Sequence[str], plan: Plan) -> list[Candidate]:
    """The finalists fully, and the first of them from nothing, unless it began from nothing already."""
    known = [model for model in best[:1] if plan.weights_of(model) != "none"]
    return [Candidate(model, "full") for model in best] + [Candidate(model, "scratch") for model in known]


def to_export(trained: Sequence[Trained]) -> list[Trained]:
    """Of each model what did best on val, and whatever began from nothing; best first."""
    best: dict[str, Trained] = {}
    for found in trained:
        before = best.get(found.candidate.model)
        if found.candidate.way != "scratch" and (before is None or found.val > before.val):
            best[found.candidate.model] = found
    scratch = [found for found in trained if found.candidate.way == "scratch"]
    return sorted([*best.values(), *scratch], key=lambda t: -t.val)


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Best on val first, of equals the faster; those that cannot be ranked last."""
    return sorted(rows, key=lambda r: (not r.complete, -(r.val or 0.0), r.latency_ms or 0.0, r.candidate))


def pareto(rows: Iterable[Row]) -> set[Candidate]:
    """Those than which no other is at least as good in accuracy on val, latency and size, and better in one of them. Latencies that
    are no further apart than two runs of one program may be count as equal."""
    complete = [row for row in rows if row.complete]
    return {row.candidate for row in complete if not any(_beats(other, row) for other in complete)}


def _beats(other: Row, row: Row) -> bool:
    theirs, ours = other.latency_ms or 0.0, row.latency_ms or 0.0
    gained, saved = (other.val or 0.0) - (row.val or 0.0), (row.bytes or 0) - (other.bytes or 0)
    if gained < 0 or saved < 0 or theirs > ours * (1 + REPEATABLE):
        return False
    return gained > 0 or saved > 0 or theirs * (1 + REPEATABLE) < ours


def gain_of_transfer(rows: Iterable[Row]) -> float | None:
    """Points of balanced accuracy on test between a model's best training and the same model from nothing. None where the best
    began from nothing too, as `auto` may decide."""
    known = [row for row in rows if row.test is not None]
    for scratch in (row for row in known if row.candidate.way == "scratch"):
        same = [r for r in known if r.candidate.model == scratch.candidate.model and r.candidate.way != "scratch"]
        if same and same[0].recipe != "scratch":
            return 100 * ((same[0].test or 0.0) - (scratch.test or 0.0))
    return None
