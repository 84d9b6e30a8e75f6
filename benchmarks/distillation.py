"""Whether a teacher helps a device-sized student: `python -m edgetl.benchmarks.distillation OUT DATA TEACHER -- FLAGS …`.

TEACHER is a run; FLAGS go to `edgetl train` for the student (--model, --weights, --imgsz, …). Each seed is trained once with
each share of the loss in EDGETL_SHARES (0 is the student alone, on the same pictures), one after another, and judged on the
test pictures. OUT/distillation.json and .md are written anew after each run; a run that is there already is not trained
again. EDGETL_SEEDS (default 0,1,2,3,4) and EDGETL_SHARES (default 0,0.5,0.9) are lists with commas.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.files import write_file


def accuracy_of(run: Path, data: str) -> dict[str, float]:
    """Balanced accuracy of a run on val (as it says itself) and on test, in per cent."""
    told = json.loads((run / "metrics.json").read_text())["val_balanced_accuracy"]
    found, _ = run_edgetl("evaluate", run, "--data", data, "--split", "test")
    return {"val": round(100 * float(told), 2), "test": round(100 * float(found["balanced_accuracy"]), 2)}


def student(out: Path, data: str, teacher: str, flags: list[str], seed: str, share: str) -> dict[str, Any]:
    """One student: a row."""
    run = out / f"seed{seed}-share{share}"
    if not (run / "report.html").exists():  # the last thing that training writes
        resume = ("--resume",) if (run / "weights/last.safetensors").exists() else ()
        taught = ("--teacher", teacher, "--distill-weight", share)
        run_edgetl("train", "--data", data, *flags, *taught, "--seed", seed, "--out", run, *resume)
    seconds = json.loads((run / "metrics.json").read_text())["seconds"]
    return {"seed": int(seed), "share": float(share), "seconds": seconds, **accuracy_of(run, data)}


def table(teacher: dict[str, float], rows: list[dict[str, Any]]) -> str:
    """Mean and spread over the seeds that every share has, and the gain over the student alone, seed by seed."""
    shares = sorted({row["share"] for row in rows})
    of = {share: {row["seed"]: row for row in rows if row["share"] == share} for share in shares}
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in of.values())))
    lines = [
        f"Teacher: {teacher['val']:.2f} % on val, {teacher['test']:.2f} % on test. Seeds: {', '.join(map(str, seeds))}.", "",
        "| share of the teacher | test, mean (lowest to highest) | val, mean | gain on test, seed by seed | s |",
        "| ---: | ---: | ---: | --- | ---: |",
    ]  # fmt: skip
    for share in shares if seeds else []:
        test, val, took = ([of[share][seed][what] for seed in seeds] for what in ("test", "val", "seconds"))
        gains = ", ".join(f"{of[share][seed]['test'] - of[shares[0]][seed]['test']:+.2f}" for seed in seeds)
        lines.append(
            f"| {share:g} | {statistics.mean(test):.2f} ({min(test):.2f} to {max(test):.2f}) | {statistics.mean(val):.2f} "
            f"| {'' if share == shares[0] else gains} | {statistics.mean(took):.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Trains and judges every student."""
    words, flags = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    out, data, teacher = Path(words[0]), words[1], words[2]
    seeds = os.environ.get("EDGETL_SEEDS", "0,1,2,3,4").split(",")
    shares = os.environ.get("EDGETL_SHARES", "0,0.5,0.9").split(",")
    judged, rows = accuracy_of(Path(teacher), data), []
    for seed in seeds:
        for share in shares:
            rows.append(student(out, data, teacher, flags, seed, share))
            account = {"machine": machine(), "flags": flags, "teacher": judged, "rows": rows}
            write_file(out / "distillation.json", json.dumps(account, indent=1) + "\n")
            write_file(out / "distillation.md", table(judged, rows))
    print(table(judged, rows))


if __name__ == "__main__":
    sys.exit(ended(main))
