"""How soon the demo's part is learned, with the built-in weights and from nothing: `python -m edgetl.benchmarks.demo_training OUT`.

The demo's own training, with its flags, for several numbers of epochs and seeds, each of which draws its own pictures of the part:
the demo's net from the built-in weights and from nothing, and a small residual net from nothing, which learns fastest of those
that were tried there, at its own rate. Test pictures judge, ten times as many as the demo has. Rows are kept one by one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.demo import MODEL, RATE, TRAIN_PER_CLASS, TRAINING, WEIGHTS
from edgetl.exits import ended


class Start(msgspec.Struct, frozen=True):
    """A net, its weights and rate, and for how many epochs it is trained, each time anew."""

    model: str
    weights: str
    rate: float
    epochs: tuple[int, ...]


STARTS = {
    "built-in": Start(MODEL, WEIGHTS, RATE, (4, 8)),
    "from nothing": Start(MODEL, "none", RATE, (8, 16, 32)),
    "resnet_tiny from nothing": Start("resnet_tiny", "none", 2e-3, (7, 14)),
}
TEST = 400  # pictures a class that judge: 2,000 in all


class Case(msgspec.Struct, frozen=True):
    """One training; the seed draws the pictures too."""

    start: str
    epochs: int
    seed: int


class Row(msgspec.Struct, frozen=True):
    """A case with the balanced accuracy on the test pictures in %, and what `edgetl train` took."""

    case: Case
    balanced_accuracy: float
    seconds: float


def cases(starts: list[str], seeds: int) -> Iterator[Case]:
    """All of them, one seed after the other."""
    for seed in range(seeds):
        for start in starts:
            yield from (Case(start, epochs, seed) for epochs in STARTS[start].epochs)


def measure(case: Case, out: Path) -> Row:
    """Trains and evaluates one case."""
    data, run = out / f"part-{case.seed}", out / "run"
    if not data.exists():
        run_edgetl("sim-data", "--out", data, "--train", TRAIN_PER_CLASS, "--test", TEST, "--seed", case.seed)
    start = STARTS[case.start]
    shutil.rmtree(run, ignore_errors=True)
    _, cost = run_edgetl(
        "train", "--data", data, "--model", start.model, "--weights", start.weights, "--epochs", case.epochs,
        "--patience", case.epochs, "--lr", start.rate, *TRAINING, "--seed", case.seed, "--out", run,
    )  # fmt: skip
    evaluation, _ = run_edgetl("evaluate", run, "--data", data, "--split", "test")
    return Row(case, round(100 * evaluation["balanced_accuracy"], 2), cost.seconds)


def table(rows: list[Row]) -> str:
    """A Markdown table: per start and number of epochs, means and extremes over the seeds."""
    lines = ["| start | epochs | balanced accuracy, % | `edgetl train`, s |", "| --- | ---: | ---: | ---: |"]
    for start, epochs in dict.fromkeys((row.case.start, row.case.epochs) for row in rows):
        same = [row for row in rows if (row.case.start, row.case.epochs) == (start, epochs)]
        values = [row.balanced_accuracy for row in same]
        seconds = np.mean([row.seconds for row in same])
        lines.append(
            f"| {start} | {epochs} | {np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f}) | {seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=list(STARTS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    rates = {name: start.rate for name, start in STARTS.items()}
    plan = {"flags": " ".join(map(str, TRAINING)), "rates": rates}
    kept = KeptRows(asked.out / "demo_training.json", Row, table, plan=plan)
    for case in cases(asked.starts, asked.seeds):
        if case not in {row.case for row in kept.rows}:
            with kept.timed() as rows:
                rows.append(measure(case, asked.out))
    print(json.dumps(kept.account()))


if __name__ == "__main__":
    sys.exit(ended(main))
