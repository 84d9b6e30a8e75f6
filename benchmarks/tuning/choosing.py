"""Which candidate to run a line with: pure decisions on what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.benchmarks.comparing import compare_interleaved
from edgetl.benchmarks.notes import notes_on
from edgetl.benchmarks.tuning.measuring import Timed

# One more step of threads must take the time below this share: the other stages need the cores as well.
WORTH_THREADS = 0.8


def best(rows: Sequence[Timed], cores: int) -> Timed | None:
    """The fastest that may run a line here, or None.

    It is a file that ships, its golden verdicts are the ones at export, it leaves a core to the other stages where there are
    several, and more threads save at least a fifth of the time. Of two that no interval tells apart the first stays.
    """
    most = max(1, cores - 1)
    found: Timed | None = None
    for row in sorted((r for r in rows if _may_run(r, most)), key=lambda r: r.threads):
        if found is None or _better(row, found):
            found = row
    return found


def _may_run(row: Timed, most_threads: int) -> bool:
    return row.candidate.ships and not row.trouble and row.flips == 0 and row.threads <= most_threads


def _better(row: Timed, than: Timed) -> bool:
    more_threads = row.threads > than.threads
    if not row.p50_ms < than.p50_ms * (WORTH_THREADS if more_threads else 1.0):
        return False
    turns = min(len(row.rounds_ms), len(than.rounds_ms))
    if turns < len(row.rounds_ms) or turns < len(than.rounds_ms):
        return True  # one was so far behind that it was let go
    return compare_interleaved(than.rounds_ms, row.rounds_ms).high < 1.0


def notes(rows: Sequence[Timed], chosen: Timed, where: dict[str, str]) -> list[str]:
    """What else a user should know: of this processor, of candidates that decide otherwise or cannot run, and of a
    float file that is faster."""
    told = notes_on([row for row in rows if row.rounds_ms], where)
    for row in rows:
        name = f"{row.interpreter}, threads {row.threads},"
        if row.trouble:
            told.append(f"{name} cannot run the {row.precision} file: {row.trouble}")
        elif row.flips:
            told.append(f"{name} gives {row.flips} golden verdicts that are others than at export: never chosen")
    floats = [row.p50_ms for row in rows if row.precision == "float32" and row.rounds_ms]
    if floats and min(floats) < chosen.p50_ms:
        told.append(
            f"a float file is faster here ({min(floats):.2f} ms); it is not chosen, since no gate and no golden set speaks for it"
        )
    return told
