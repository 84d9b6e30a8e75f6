"""Whether `edgetl bench` says the same twice, and cries wolf one time in twenty:
`python -m edgetl.benchmarks.repeatability OUT.json BUNDLE [--runs N] [--full] [--trials N]`.

The command is run several times; every two runs after each other are a pair, and of each pair the medians and the verdict of
`bench compare` are kept. Then one loaded model takes turns with itself, again and again: a comparison that says "different" there
is wrong, and 1 in 20 of them may be. The same with the file loaded twice shows what a place in memory makes of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.comparing import compare, compare_interleaved
from edgetl.benchmarks.interpreter_cost import Turns, in_turns
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.report import read_report, read_samples
from edgetl.exits import ended
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.files import write_file
from edgetl.runtime.interpreters import choose, open_named

TURNS = 240  # of each side in one trial
WITHIN = 0.03


def pairs(bundle: Path, runs: int, options: list[str], folder: Path) -> list[dict[str, Any]]:
    """Every two runs of the real command after each other: what was the same, and by how much medians differed."""
    paths = [folder / f"run-{number}.json" for number in range(runs)]
    for path in paths:
        run_edgetl("bench", bundle, "--out", path, *options, judged=True)
    return [_pair(one, other) for one, other in pairwise(paths)]


def _pair(one: Path, other: Path) -> dict[str, Any]:
    reports = read_report(one), read_report(other)
    series = read_samples(one, reports[0]), read_samples(other, reports[1])
    common = [name for name in series[0] if name in series[1] and not name.startswith("minute")]
    ratios = {n: float(np.median(series[1][n]) / np.median(series[0][n])) for n in common}
    return {
        "results": [report.judgement.result for report in reports],
        "end_to_end_ratio": round(ratios["end_to_end"], 4),
        "inference_ratios": {n: round(r, 4) for n, r in ratios.items() if " in " in n},
        "said_different": [n for n in common if compare(series[0][n], series[1][n]).differ],
    }


def wolves(step: Callable[[], object], other: Callable[[], object], trials: int) -> dict[str, Any]:
    """How often the interleaved comparison of two equal steps calls them different."""
    found = []
    for _ in range(trials):
        one, two = Turns(), Turns()
        in_turns((step, other), TURNS, (one, two))
        found.append(compare_interleaved(one.wall_ms, two.wall_ms))
    farthest = max((abs(c.ratio - 1) for c in found), default=0.0)
    return {"trials": trials, "said_different": sum(c.differ for c in found), "farthest_ratio": round(farthest, 4)}


def _trials(bundle: Bundle, trials: int) -> dict[str, Any]:
    first, choice = choose(bundle)
    second = open_named(bundle, choice.interpreter, choice.threads)
    image = np.random.default_rng(0).integers(0, 256, (first.size, first.size, 3), np.uint8)
    return {
        "one_copy": wolves(lambda: first.raw(image), lambda: first.raw(image), trials),
        "two_copies": wolves(lambda: first.raw(image), lambda: second.raw(image), trials),
    }


def share_within(found: list[dict[str, Any]]) -> float:
    """The share of pairs whose medians end to end lie within 3 %."""
    near = [pair for pair in found if abs(pair["end_to_end_ratio"] - 1) <= WITHIN]
    return len(near) / max(1, len(found))


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--runs", default=5, show_default=True, help="Of the command.")
@click.option("--full", is_flag=True, help="Full runs in place of quick ones.")
@click.option("--trials", default=100, show_default=True, help="Of a model with itself.")
def main(out: Path, bundle: Path, runs: int, full: bool, trials: int) -> None:
    """Writes OUT.json and prints the same."""
    with tempfile.TemporaryDirectory() as folder:
        found = pairs(bundle, runs, [] if full else ["--quick"], Path(folder))
    with open_bundle(bundle) as opened:
        told = _trials(opened, trials)
    result = {
        "machine": machine(), "bundle": bundle.name, "quick": not full, "pairs": found,
        "pairs_within_3_percent": round(share_within(found), 3), "with_itself": told,
    }  # fmt: skip
    write_file(out, json.dumps(result, indent=1) + "\n")
    click.echo(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
