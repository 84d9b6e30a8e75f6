"""Ways to pretrain, tried at small scale: `python -m edgetl.benchmarks.pretraining_trials OUT [NAME …] [--steps N]`.

Each is `edgetl pretrain` with some flags of its own, and for as many steps and pictures as all the others. What came of it is
judged by a linear head on its frozen features, by `edgetl embed --shots 25`: on the train folders of the public sets and on the
drawn part, never on test pictures, since a choice follows from it. A random net is the first row. Rows are kept one by one, so that
a run that is cut short goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import msgspec

from edgetl.benchmarks.commands_of import data_root, run_edgetl
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.real_pictures import SETS
from edgetl.errors import EdgetlError
from edgetl.exits import ended

MODEL, IMGSZ, SHOTS, DRAWS = "mobilenet_v2_050", 96, 25, 5
PICTURES, STEPS = 12_000, 800
RANDOM, USUAL = "random net", "as it is"
# Each with what differs from the small setting.
TRIALS: dict[str, tuple[object, ...]] = {
    USUAL: (),
    "descriptors alone": ("--heads", "descriptor"),
    "descriptors and marks": ("--heads", "mark,descriptor"),
    "formulas alone": ("--heads", "formula"),
    "no descriptors": ("--heads", "formula,palette,outline,mark"),
    "no marks": ("--heads", "formula,palette,outline,descriptor"),
    "no formulas": ("--heads", "palette,outline,mark,descriptor"),
    "128 formulas": ("--formulas", 128),
    "2048 formulas": ("--formulas", 2048),
    "a third of the rate": ("--lr", 1e-3),
    "whole pictures from the first step": ("--early-imgsz", IMGSZ),
    "48 px at first": ("--early-imgsz", 48),
}


class Row(msgspec.Struct, frozen=True):
    """One way: balanced accuracy in % by set, how long the pretraining took, and where its losses ended."""

    name: str
    found: dict[str, float]
    seconds: float = 0.0
    losses: dict[str, float] = {}


def judged(weights: object, sets: dict[str, Path]) -> dict[str, float]:
    """Balanced accuracy in % of a head that 25 pictures a class taught, on the others of each set."""
    found = {}
    for name, folder in sets.items():
        told, _ = run_edgetl("embed", "--data", folder, "--model", MODEL, "--weights", weights, "--imgsz", IMGSZ,
                             "--shots", SHOTS, "--draws", DRAWS, "--seed", 0)  # fmt: skip
        row = next(row for row in told["handfuls"] if row["shots"] == SHOTS)
        found[name] = round(100 * row["linear"]["mean"], 2)
    return found


def tried(name: str, sets: dict[str, Path], out: Path, steps: int, pictures: int) -> Row:
    """One way, pretrained and judged."""
    if name == RANDOM:
        return Row(name, judged("none", sets))
    weights = out / f"{name.replace(' ', '-')}.safetensors"
    told, cost = run_edgetl("pretrain", "--out", weights, "--steps", steps, "--pictures", pictures, *TRIALS[name])
    return Row(name, judged(weights, sets), cost.seconds, told["losses"])


def folders(root: Path, out: Path) -> dict[str, Path]:
    """The pictures that judge: a folder of classes for each set, without its test pictures."""
    drawn = out / "drawn part"
    if not drawn.is_dir():
        run_edgetl("sim-data", "--out", drawn, "--train", 60, "--test", 1)
    found = {name: root / folder / "train" for name, folder in SETS.items()} | {drawn.name: drawn / "train"}
    if missing := [str(folder) for folder in found.values() if not folder.is_dir()]:
        raise EdgetlError(f"{missing[0]}: not there")
    return found


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, each way beside the mean of its sets."""
    sets = list(rows[0].found) if rows else []
    lines = [f"| way | {' | '.join(sets)} | mean | minutes |", f"| --- |{' ---: |' * (len(sets) + 2)}"]
    for row in rows:
        values = [row.found[name] for name in sets]
        shown = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {row.name} | {shown} | {sum(values) / len(values):.1f} | {row.seconds / 60:.0f} |")
    return "\n".join(lines) + "\n"


def wanted(names: Iterable[str]) -> list[str]:
    """The ways to try, all where none is named. Raises UsageError."""
    known = [RANDOM, *TRIALS]
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"{unknown[0]}: not among {', '.join(known)}")
    return list(names) or known


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
@click.option("--steps", default=STEPS, show_default=True)
@click.option("--pictures", default=PICTURES, show_default=True)
def main(out: Path, names: tuple[str, ...], steps: int, pictures: int) -> None:
    """Tries the named ways, or all."""
    asked, plan = wanted(names), {"steps": steps, "pictures": pictures}
    kept = KeptRows(out / "pretraining_trials.json", Row, table, plan=plan)
    out.mkdir(parents=True, exist_ok=True)
    sets = folders(data_root(), out)
    for name in asked:
        if name not in {row.name for row in kept.rows}:
            with kept.timed() as rows:
                rows.append(tried(name, sets, out, steps, pictures))
    click.echo(json.dumps(kept.account()))


if __name__ == "__main__":
    sys.exit(ended(main))
