"""The order of a comparison: every probe, the best few fully, one from nothing, then int8 and time of what did best."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.model_comparison.candidate import Candidate, Plan, Row, Trained
from edgetl.benchmarks.model_comparison.ranking import (
    after_probes,
    finalists,
    gain_of_transfer,
    pareto,
    ranked,
    to_export,
)
from edgetl.benchmarks.model_comparison.study import Study, Tell
from edgetl.benchmarks.model_comparison.working import Workshop
from edgetl.errors import UsageError, storage
from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.files import write_file

PLAN, RESULT, PLOT = "plan.json", "comparison.json", "comparison.png"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it, best first. `best`: names of the rows that no other beats in accuracy on val, latency and size at once.
    `gain_of_transfer`: points of balanced accuracy on test over the same model from nothing."""

    machine: dict[str, str]
    plan: Plan
    rows: tuple[Row, ...]
    best: tuple[str, ...]
    gain_of_transfer: float | None


def compare(plan: Plan, folder: Path, jobs: int, gpus: list[str], tell: Tell) -> Comparison:
    """Does what is not done yet, and writes comparison.json and .png. Raises UsageError where the folder is of another plan, DatasetError
    where there are no pictures."""
    list_pictures(Path(plan.data))
    claim(folder, plan)
    workshop = Workshop(plan, folder, jobs, gpus)
    study = Study(folder, workshop.train, jobs, plan.seed, tell)
    trained, failed = _train(plan, study)
    shown = to_export(trained)
    for found in trained:
        if found not in shown:
            tell(f"{found.candidate.name}: {found.val:.1%} on val, no more than this model has otherwise; not exported")
    if shown:
        tell(f"exporting and timing {len(shown)} of them, one after the other")
    exported = [workshop.export(found) for found in shown]
    rows = [workshop.time(row) if not row.trouble else row for row in exported]
    rows = ranked([*rows, *(Row(candidate=candidate, trouble=why) for candidate, why in failed.items())])
    chosen = pareto(rows)
    result = Comparison(
        machine=machine(), plan=plan, rows=tuple(rows), gain_of_transfer=gain_of_transfer(rows),
        best=tuple(row.candidate.name for row in rows if row.candidate in chosen),
    )  # fmt: skip
    workshop.keep(RESULT, result)
    if chosen:
        from edgetl.benchmarks.model_comparison.showing import plot

        write_file(folder / PLOT, plot(result))
    return result


def claim(folder: Path, plan: Plan) -> None:
    """Notes the plan in the folder, or checks that what lies there belongs to it; models may be added, and a longer sweep. Where
    nothing was trained yet, there is nothing that another plan would mix up."""
    kept = folder / PLAN
    if kept.is_file() and any(folder.glob("runs/*/metrics.json")):
        before = msgspec.json.decode(kept.read_bytes(), type=Plan)
        same = msgspec.structs.replace(
            before, models=plan.models, weights=plan.weights, finalists=plan.finalists, sweep=plan.sweep
        )
        if same != plan:
            raise UsageError(f"{folder}: holds a comparison with other settings; choose another --out")
        if changed := [m for m in before.models if before.weights_of(m) != plan.weights_of(m)]:
            raise UsageError(f"{folder}: {changed[0]} began from other weights there; choose another --out")
    elif folder.is_dir() and not kept.is_file() and any(folder.iterdir()):
        raise UsageError(f"{folder}: not empty, and no comparison; choose another --out")
    else:
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
    write_file(kept, msgspec.json.format(msgspec.json.encode(plan)).decode() + "\n")


def _train(plan: Plan, study: Study) -> tuple[list[Trained], dict[Candidate, str]]:
    """All that is to be trained, and what could not be."""
    probes, failed = study.train_all(Candidate(model, "probe") for model in plan.models)
    best = finalists(probes, plan.finalists)
    fully, failed_too = study.train_all(after_probes(best, plan))
    swept = study.sweep(best[0], plan.sweep)[:1] if best and plan.sweep else []
    return [*probes, *fully, *swept], {**failed, **failed_too}
