"""What weights to begin with are worth: `python -m edgetl.benchmarks.pretraining_worth OUT [--own FILE] [--ways …] [--sets …]`.

For each public set, number of training pictures a class, and seed: MobileNetV2 of half width from nothing, from drawn
pictures (the built-in weights, or a file of `edgetl pretrain`), and from ImageNet. As a frozen probe, by `edgetl embed
--shots`, which looks at each picture once for all the counts; and fine-tuned, by `edgetl train` and `evaluate`. The
set's test folder judges. The seed draws the pictures and the net. Rows are kept one by one, so that a run that is cut short
goes on where it stopped; the table has means with 95 % intervals of Student's t over the seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np

from edgetl.benchmarks.commands_of import data_root, run_edgetl
from edgetl.benchmarks.kept_rows import KeptRows
from edgetl.benchmarks.real_pictures import SETS
from edgetl.exits import ended

MODEL, IMAGENET = "mobilenet_v2_050", "weights/mobilenet_v2_050_features.pth"
BUILTIN = "mobilenetv2_050.safetensors"  # among the trainer's package data
IMAGENET_WANTS = "inception"  # that file was trained on pixels from −1 to 1, and does not say so
COUNTS = ("10", "25", "50", "all")
STARTS = ("nothing", "drawn", "ImageNet")
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # Student's t by the number of values


class Case(msgspec.Struct, frozen=True, order=True):
    """One training: `count` pictures a class (or all), `way` probe or finetune."""

    way: str
    data: str
    count: str
    start: str
    seed: int


class Row(msgspec.Struct, frozen=True):
    """A case with the balanced accuracy on the test pictures."""

    case: Case
    balanced_accuracy: float


def cases(
    ways: list[str], sets: list[str], counts: list[str], seeds: int, starts: Sequence[str] = STARTS
) -> Iterator[Case]:
    """All of them, one seed after the other, so that what is cut short is a whole table of fewer seeds."""
    for seed in range(seeds):
        for way in ways:
            for data in sets:
                for count in counts:
                    yield from (Case(way, data, count, start, seed) for start in starts)


def choose(source: Path, target: Path, count: str, seed: int) -> None:
    """Links the set's test pictures and `count` of each class of its training pictures, drawn by the seed."""
    if target.exists():
        return
    for folder in sorted(p for p in source.glob("t*/*") if p.is_dir()):
        names = sorted(p.name for p in folder.iterdir())
        if folder.parent.name == "train" and count != "all":
            names = [names[n] for n in np.random.default_rng(seed).permutation(len(names))[: int(count)]]
        linked = target / folder.parent.name / folder.name
        linked.mkdir(parents=True)
        for name in names:
            (linked / name).symlink_to((folder / name).resolve())


class Starts(msgspec.Struct, frozen=True):
    """What the starts are on this machine: the folder of public sets, and the drawn pictures' weights."""

    root: Path
    own: str

    def digest(self) -> str:
        """The SHA-256 of the drawn pictures' weights: rows of others are no rows of these."""
        path = files("edgetl.trainer.builtin") / BUILTIN if self.own == "builtin" else Path(self.own)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def flags(self, start: str) -> list[object]:
        """What tells edgetl's commands to begin there."""
        if start == "ImageNet":
            return ["--weights", self.root / IMAGENET, "--normalization", IMAGENET_WANTS]
        return ["--weights", self.own if start == "drawn" else "none"]


def probed(case: Case, starts: Starts, imgsz: int) -> list[Row]:
    """The case and those that differ in the number of pictures only: the net looks at each picture once for them all."""
    shots = [count for count in COUNTS if count != "all"]
    found, _ = run_edgetl(
        "embed", "--data", starts.root / SETS[case.data], "--model", MODEL, *starts.flags(case.start), "--imgsz", imgsz,
        "--shots", ",".join(shots), "--draws", 1, "--seed", case.seed,
    )  # fmt: skip
    reached = {str(row["shots"] or "all"): row["linear"]["mean"] for row in found["handfuls"]}
    return [Row(msgspec.structs.replace(case, count=count), round(100 * value, 2)) for count, value in reached.items()]


def finetuned(case: Case, starts: Starts, out: Path, imgsz: int) -> Row:
    """Trains and evaluates one case."""
    data, run = out / "data" / f"{case.data}-{case.count}-{case.seed}", out / "run"
    choose(starts.root / SETS[case.data], data, case.count, case.seed)
    shutil.rmtree(run, ignore_errors=True)
    how = ["--recipe", "scratch"] if case.start == "nothing" else ["--recipe", "finetune", *starts.flags(case.start)]
    run_edgetl("train", "--data", data, "--model", MODEL, *how, "--imgsz", imgsz, "--seed", case.seed, "--out", run)
    evaluation, _ = run_edgetl("evaluate", run, "--data", data, "--split", "test")
    return Row(case, round(100 * evaluation["balanced_accuracy"], 2))


def spread(values: list[float]) -> tuple[float, float]:
    """Mean, and half of the width of its 95 % interval (not a number for one value)."""
    count = len(values)
    half = T_95[count] * np.std(values, ddof=1) / count**0.5 if count in T_95 else np.nan
    return float(np.mean(values)), float(half)


def gathered(rows: list[Row]) -> dict[tuple[str, str, str, str], list[float]]:
    """Values over the seeds by way, set, count and start."""
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for row in rows:
        case = row.case
        found.setdefault((case.way, case.data, case.count, case.start), []).append(row.balanced_accuracy)
    return found


def recovered(means: dict[str, float]) -> float:
    """The share of ImageNet's gain over nothing that the drawn pictures give, in %."""
    return 100 * (means["drawn"] - means["nothing"]) / (means["ImageNet"] - means["nothing"])


def table(rows: list[Row]) -> str:
    """A Markdown table of what was measured."""
    found = gathered(rows)
    lines = [
        f"| way | set | pictures a class | {' | '.join(STARTS)} | of ImageNet's gain |",
        f"| --- | --- | ---: |{' ---: |' * (len(STARTS) + 1)}",
    ]
    for way, data, count in dict.fromkeys(key[:3] for key in found):
        values = {
            start: spread(found[way, data, count, start]) for start in STARTS if (way, data, count, start) in found
        }
        shown = [_shown(*values[start]) if start in values else "" for start in STARTS]
        means = {start: mean for start, (mean, _) in values.items()}
        gain = f"{recovered(means):.0f} %" if len(means) == len(STARTS) and means["ImageNet"] > means["nothing"] else ""
        lines.append(f"| {way} | {data} | {count} | {' | '.join(shown)} | {gain} |")
    return "\n".join(lines) + "\n"


def _shown(mean: float, half: float) -> str:
    return f"{mean:.1f}" if np.isnan(half) else f"{mean:.1f} ± {half:.1f}"


def measure(case: Case, starts: Starts, out: Path, imgsz: int) -> list[Row]:
    """The rows that come of one case."""
    return probed(case, starts, imgsz) if case.way == "probe" else [finetuned(case, starts, out, imgsz)]


def main() -> None:
    """Measures what is asked for."""
    asked = _arguments()
    out, starts = asked.out, Starts(data_root(), asked.own)
    plan = {"imgsz": asked.imgsz, "drawn": starts.digest()}
    kept = KeptRows(out / "pretraining_worth.json", Row, table, plan=plan)
    for case in cases(asked.ways, asked.sets, asked.counts, asked.seeds, asked.starts):
        if case not in {row.case for row in kept.rows}:
            with kept.timed() as rows:
                rows += [row for row in measure(case, starts, out, asked.imgsz) if row.case.count in asked.counts]
    print(json.dumps(kept.account()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--own", default="builtin", help="a file that `edgetl pretrain` wrote")
    parser.add_argument("--ways", nargs="+", default=["probe", "finetune"], choices=["probe", "finetune"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--counts", nargs="+", default=list(COUNTS), choices=COUNTS)
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--imgsz", type=int, default=96)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(ended(main))
