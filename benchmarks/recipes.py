"""What `auto` is worth beside recipes chosen by hand: `python -m edgetl.benchmarks.recipes OUT [--models …] [--sets …] [--seeds 5]`.

For each public set (or one derived from them, where it is named), model and seed: `edgetl train` with each recipe on the public
weights at 224 px, judged on the set's test folder. The seed draws the splits and the order. Where `auto` took a recipe and
asked no more of it than somebody who names it (a margin of 0 or less), both are one run, since a seed gives the same run again; it is
trained once. Rows are kept one by one, so that a run that is cut short goes on where it stopped; the table (means with the
spread over the seeds, and how far `auto` lies from the best recipe by hand) is written anew after each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev

import msgspec

from edgetl.benchmarks.commands_of import data_root, run_edgetl
from edgetl.benchmarks.derived_sets import DERIVED, write_derived
from edgetl.benchmarks.int8_verdicts import WEIGHTS
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.real_pictures import SETS
from edgetl.exits import ended

AUTO, BY_HAND = "auto", ("probe", "blocks", "finetune")


class Case(msgspec.Struct, frozen=True, order=True):
    """One training."""

    data: str
    model: str
    recipe: str
    seed: int


class Row(msgspec.Struct, frozen=True):
    """A case, the balanced accuracy on the test pictures in %, and how long the training took. `taken`: the recipe that was
    trained, for `auto` the one that it took; `margin`: what that had to beat its probe by, in standard errors; `blend_least`: how far
    from its start it had to be at least, where parts of train said so."""

    case: Case
    balanced_accuracy: float
    seconds: float
    taken: str
    margin: float = 0.0
    blend_least: float | None = None


def cases(sets: Sequence[str], models: Sequence[str], recipes: Sequence[str], seeds: int) -> Iterator[Case]:
    """All of them, one seed after the other, so that what is cut short is a whole table of fewer seeds."""
    for seed in range(seeds):
        for data in sets:
            for model in models:
                yield from (Case(data, model, recipe, seed) for recipe in recipes)


def measure(case: Case, root: Path, out: Path, imgsz: int) -> Row:
    """Trains and evaluates one case."""
    data, run = data_of(case, root, out), out / "run"
    shutil.rmtree(run, ignore_errors=True)
    _, cost = run_edgetl("train", "--data", data, "--model", case.model, "--weights", root / WEIGHTS[case.model],
                         "--recipe", case.recipe, "--imgsz", imgsz, "--seed", case.seed, "--out", run)  # fmt: skip
    evaluation, _ = run_edgetl("evaluate", run, "--data", data, "--split", "test")
    return Row(case, round(100 * evaluation["balanced_accuracy"], 2), cost.seconds, *taken(run))


def data_of(case: Case, root: Path, out: Path) -> Path:
    """The folder of a case's set; one that is derived from others is written first, with the pictures that the seed chooses."""
    if case.data in SETS:
        return root / SETS[case.data]
    (out / "sets").mkdir(parents=True, exist_ok=True)
    return write_derived(case.data, root, out / "sets" / f"{case.data}-{case.seed}", case.seed)


def taken(run: Path) -> tuple[str, float, float | None]:
    """The recipe that a run was trained by, its margin, and the blend that was asked of it."""
    settings = msgspec.yaml.decode((run / "args.yaml").read_bytes())
    return settings["recipe"], settings["margin"] or 0.0, settings["blend_least"]


def same_run(case: Case, rows: Sequence[Row]) -> Row | None:
    """What `auto` trained where that is this case too."""
    auto = msgspec.structs.replace(case, recipe=AUTO)
    found = next(
        (r for r in rows if r.case == auto and r.taken == case.recipe and r.margin <= 0 and r.blend_least is None), None
    )
    return None if found is None else msgspec.structs.replace(found, case=case, seconds=0.0)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table: a line for each set and model. Recipes are set beside each other on the seeds that both were trained
    on, since a seed draws the pictures too; one that has fewer seeds than the others says how many."""
    recipes = [r for r in (AUTO, *BY_HAND) if any(row.case.recipe == r for row in rows)]
    lines = [f"| set | model | seeds | {' | '.join(recipes)} | auto less the best by hand | auto less probe |",
             f"| --- | --- | ---: |{' ---: |' * (len(recipes) + 2)}"]  # fmt: skip
    for data, model in dict.fromkeys((row.case.data, row.case.model) for row in rows):
        found = {
            recipe: {r.case.seed: r.balanced_accuracy for r in rows if (r.case.data, r.case.model, r.case.recipe) == (data, model, recipe)}
            for recipe in recipes
        }  # fmt: skip
        seeds = max(map(len, found.values()))
        ahead = {recipe: _ahead(found.get(AUTO, {}), found[recipe]) for recipe in recipes if recipe != AUTO}
        least = min((points for points in ahead.values() if points is not None), default=None)
        shown = " | ".join(_shown(list(found[recipe].values()), seeds) for recipe in recipes)
        lines.append(f"| {data} | {model} | {seeds} | {shown} | {_signed(least)} | {_signed(ahead.get('probe'))} |")
    return "\n".join(lines) + "\n"


def _ahead(ours: dict[int, float], theirs: dict[int, float]) -> float | None:
    """By how many points ours is better in the mean of the seeds that both have; None where there are none."""
    return fmean(ours[seed] - theirs[seed] for seed in both) if (both := ours.keys() & theirs.keys()) else None


def _signed(points: float | None) -> str:
    return "" if points is None else f"{points:+.1f}"


def _shown(values: Sequence[float], seeds: int) -> str:
    """Mean and spread, and how many they are where that is not all seeds."""
    if not values:
        return ""
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{spread}" + (f" ({len(values)})" if len(values) < seeds else "")


def main() -> None:
    """Measures what is asked for."""
    asked = _arguments()
    root, kept = data_root(), KeptRows(asked.out / "recipes.json", Row, table, plan={"imgsz": asked.imgsz})
    for case in cases(asked.sets, asked.models, asked.recipes, asked.seeds):
        if case not in {row.case for row in kept.rows}:
            with kept.timed() as rows:
                rows.append(same_run(case, rows) or measure(case, root, asked.out, asked.imgsz))
    print(json.dumps(kept.account()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", default=list(WEIGHTS), choices=list(WEIGHTS))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=[*SETS, *DERIVED])
    parser.add_argument("--recipes", nargs="+", default=[AUTO, *BY_HAND], choices=[AUTO, *BY_HAND])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--imgsz", type=int, default=224)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(ended(main))
