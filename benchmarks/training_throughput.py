"""How many pictures a second fine-tuning gets through: `python -m edgetl.benchmarks.training_throughput OUT [--peer PYTHON]`.

`edgetl train`, the loop of timm's train.py put together from timm's own parts (dataset, loader with its augmentation, AdamW,
cosine schedule, label smoothing, channels-last, validation), and with --peer a Python that has ultralytics, its classify
trainer on torchvision's net of the same name under a plain head (it sets its own number of threads: one core fewer than
there are). All train all layers of one backbone from nothing at the same size and
batch on the same files, in turns. A rate is that of an epoch with its validation, pictures of both counted, without the
first epoch, in which things are still set up; `seconds` is the whole process, edgetl's with its page, plots and one decoding.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import msgspec

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.peers.loops import TIMM_NAMES, Work, trained
from edgetl.benchmarks.peers.texts import TIMM, ULTRALYTICS
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.files import write_file
from edgetl.runtime.sim import write_dataset
from edgetl.runtime.spare import cores


class Rate(msgspec.Struct, frozen=True):
    """Pictures a second in the epochs after the first, and how long the whole process took."""

    per_second: float
    seconds: float


def of_edgetl(work: Work, run: Path) -> Rate:
    """`edgetl train` from nothing."""
    shutil.rmtree(run, ignore_errors=True)
    told, cost = run_edgetl("train", "--data", work.data, "--model", work.model, "--weights", "none", "--imgsz", work.imgsz, "--batch",
                            work.batch, "--epochs", work.epochs, "--patience", work.epochs, "--out", run)  # fmt: skip
    pictures = told["pictures"]["train"] + told["pictures"]["val"]
    with (run / "results.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)][2:]
    return Rate(round(pictures * len(seconds) / sum(seconds), 2), cost.seconds)


def of_program(python: Path, program: str, name: str, work: Work, folder: Path) -> Rate:
    """Another program's loop. Raises EdgetlError."""
    done = trained(python, program, msgspec.structs.replace(work, model=name), folder, name)
    epochs = done.epochs[1:]
    if not epochs:
        raise EdgetlError(f"{name}: --epochs must be 2 at least, since the first is not counted")
    rate = sum(epoch["pictures"] for epoch in epochs) / sum(epoch["seconds"] for epoch in epochs)
    return Rate(round(rate, 2), done.cost.seconds)


def compared(rates: dict[str, list[Rate]]) -> dict[str, Any]:
    """Medians, and edgetl's rate as a multiple of each other's: the median of the rounds."""
    report: dict[str, Any] = {
        name: {field: statistics.median(getattr(r, field) for r in rounds) for field in ("per_second", "seconds")}
        for name, rounds in rates.items()
    }
    for other in set(rates) - {"edgetl"}:
        ratios = [a.per_second / b.per_second for a, b in zip(rates["edgetl"], rates[other], strict=True)]
        report[f"edgetl against {other}"] = {
            "median": round(statistics.median(ratios), 2),
            "rounds": [round(r, 2) for r in ratios],
        }
    return report


def main() -> None:
    """Measures in turns, prints one line of JSON and writes it to OUT/training_throughput.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, help="DIR/{train,val}/<class>/…; else drawn parts of 640×480.")
    parser.add_argument("--pictures", type=int, default=1000, help="To draw.")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--imgsz", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores(), help="Of the other programs' loaders.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="A Python with ultralytics.")
    given = parser.parse_args()
    out: Path = given.out
    data = given.data or out / "data"
    if not data.exists():
        splits = {"train": 0.85, "val": 0.15}
        write_dataset(data, seed=0, pictures_per_class=given.pictures // 5, width=640, height=480, splits=splits)
    work = Work(data.resolve(), given.model, given.imgsz, given.batch, given.workers, given.epochs)
    rates: dict[str, list[Rate]] = {"edgetl": [], "timm": [], **({"ultralytics": []} if given.peer else {})}
    for _ in range(given.rounds):
        rates["edgetl"].append(of_edgetl(work, out / "run"))
        timm_name = TIMM_NAMES.get(work.model, work.model)
        rates["timm"].append(of_program(Path(sys.executable), TIMM, timm_name, work, out))
        if given.peer:
            rates["ultralytics"].append(of_program(given.peer, ULTRALYTICS, work.model, work, out))
        print({name: rounds[-1] for name, rounds in rates.items()}, file=sys.stderr, flush=True)
    result = {**compared(rates), "work": {**msgspec.structs.asdict(work), "data": str(data)},
              "cores": cores(), "machine": machine()}  # fmt: skip
    write_file(out / "training_throughput.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
