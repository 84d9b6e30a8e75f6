"""Measures one thing, or the short form of all, and keeps each result with how it came about:
`python -m edgetl.benchmarks.record [NAME …]`; `make bench` is this without names.

Results lie in benchmarks/results as JSON, each with its command, the commit, the date, the machine, how busy it was before, and
how long it took. docs/benchmarks.md is written from them. Bundles are made in build/bench and stay there. What takes hours keeps
its rows there one by one and goes on from them; Ctrl-C keeps them as the result too, and with --resume it goes on from that, so
that the hours may lie on several days.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import msgspec

from edgetl.benchmarks.derived_sets import DERIVED
from edgetl.benchmarks.machine import machine
from edgetl.errors import EdgetlError, UsageError
from edgetl.exits import ended
from edgetl.runtime.files import write_file

ROOT = Path(__file__).resolve().parent.parent
RESULTS, WORK = ROOT / "benchmarks" / "results", ROOT / "build" / "bench"
_MODELS = ("mobilenet_v2", "efficientnet_lite0")
_ASKED = ("EDGETL_RECIPE", "EDGETL_RUNGS")


class Piece(msgspec.Struct, frozen=True):
    """One measurement: the words behind `python -m`, with {out}, {work} and {<backbone>} to be filled in. `short`: whether
    `make bench` takes it. `rows`: the file in {work} with the rows of one that goes on where it was cut short."""

    name: str
    words: str
    short: bool = True
    rows: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement found, and how it came about. `load`: processes that wanted a core in the minute before; `priority`:
    how this one was scheduled among them."""

    name: str
    command: str
    commit: str
    date: str
    machine: dict[str, str]
    load: float
    priority: str
    seconds: float
    found: Any


PIECES = (
    Piece("roofline", "edgetl.benchmarks.roofline_of_backbones {work} " + " ".join(_MODELS), rows="roofline.json"),
    Piece("latency", "edgetl bench {mobilenet_v2} --quick --out {out} --json"),
    Piece("interpreter", "edgetl.benchmarks.interpreter_cost {out} {mobilenet_v2} {efficientnet_lite0}"),
    Piece("repeatability", "edgetl.benchmarks.repeatability {out} {mobilenet_v2} --runs 3 --trials 40"),
    Piece("overlap", "edgetl.benchmarks.overlap {mobilenet_v2}"),
    Piece("growth-line", "edgetl.benchmarks.growth {out} {mobilenet_v2} --short --only frame --only regions --only cameras"),
    Piece("growth-training", "edgetl.benchmarks.growth {out} {mobilenet_v2} --short --only pictures --only classes --only input"),
    Piece("backbones", "edgetl.benchmarks.roofline_of_backbones {work}/backbones", short=False, rows="backbones/roofline.json"),
    Piece("repeatability-full", "edgetl.benchmarks.repeatability {out} {mobilenet_v2} --runs 2 --full", short=False),
    Piece("growth-long", "edgetl.benchmarks.growth {out} {mobilenet_v2}", short=False),
    Piece("export", "edgetl.benchmarks.export_cost {work}/export", short=False),
    Piece("int8-speed", "edgetl.benchmarks.int8_speed {work} {mobilenet_v2}", short=False),
    Piece("int8-verdicts", "edgetl.benchmarks.int8_verdicts {work}/int8", short=False, rows="int8/int8_verdicts.json"),
    Piece("int8-backbones", "edgetl.benchmarks.backbones {work}/hard", short=False, rows="hard/backbones.json"),
    Piece("imagenet", "edgetl.benchmarks.imagenet_agreement {work}/imagenet", short=False, rows="imagenet/imagenet_agreement.json"),
    Piece("recipes", "edgetl.benchmarks.recipes {work}/recipes", short=False, rows="recipes/recipes.json"),
    Piece("recipes-elsewhere", f"edgetl.benchmarks.recipes {{work}}/elsewhere --sets {' '.join(DERIVED)} --models mobilenet_v2 --imgsz 128 --seeds 3",
          short=False, rows="elsewhere/recipes.json"),
    Piece("pretraining-trials", "edgetl.benchmarks.pretraining_trials {work}/trials", short=False, rows="trials/pretraining_trials.json"),
    Piece("pretraining-worth", "edgetl.benchmarks.pretraining_worth {work}/worth", short=False, rows="worth/pretraining_worth.json"),
    Piece("demo-training", "edgetl.benchmarks.demo_training {work}/demo", short=False, rows="demo/demo_training.json"),
    Piece("export-peers", "edgetl.benchmarks.export_peers {work}/peers --rounds 2 -- --rung equalized --max-drop 100 --max-recall-loss 100"
          " --max-flips 100 --max-gain-error 1000", short=False),
    Piece("training-peers", "edgetl.benchmarks.training_peers {work}/peers --imgsz 96 --rounds 2", short=False),
    Piece("one-class-peers", "edgetl.benchmarks.one_class_peers {work}/peers --rounds 2", short=False),
)  # fmt: skip


RESUMED = tuple(piece.name for piece in PIECES if piece.rows)  # their rows may be of several goes


def measure(piece: Piece, results: Path = RESULTS, work: Path = WORK, *, resume: bool = False) -> Result:
    """Runs one measurement and keeps its result; `resume`: from the rows of the one that is kept. Raises EdgetlError where it
    ended without one."""
    work.mkdir(parents=True, exist_ok=True)
    out = work / f"{piece.name}.json"
    out.unlink(missing_ok=True)
    if resume:
        _go_on_from(piece, results, work)
    bundles = {name: work / f"{name}.edgetl" for name in _MODELS}
    words = shlex.split(piece.words.format(out=out, work=work, **bundles))
    load, started = os.getloadavg()[0], time.monotonic()
    stopped = False
    try:
        done = subprocess.run([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
        found = _found(piece, done, out, work)
    except KeyboardInterrupt:
        if not piece.rows or not (work / piece.rows).exists():
            raise
        found, stopped = _read(work / piece.rows, work), True
    seconds = time.monotonic() - started
    if isinstance(found, dict) and piece.rows:
        seconds = found["seconds"]  # which may have been spent in several goes
    result = Result(
        name=piece.name, command=_shown(piece), commit=_commit(), date=_today(), machine=machine(), load=round(load, 2), priority=_priority(),
        seconds=round(seconds, 1), found=found,
    )  # fmt: skip
    results.mkdir(parents=True, exist_ok=True)
    write_file(results / f"{piece.name}.json", msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    if stopped:
        raise KeyboardInterrupt
    return result


def _go_on_from(piece: Piece, results: Path, work: Path) -> None:
    """Lays the rows of the kept result where the measurement looks for them, unless there are newer ones."""
    kept = read_results(results)
    if not piece.rows or piece.name not in kept:
        raise UsageError(f"{piece.name}: no result with rows to go on from")
    if not (rows := work / piece.rows).exists():
        rows.parent.mkdir(parents=True, exist_ok=True)
        write_file(rows, json.dumps(kept[piece.name].found, indent=1) + "\n")


def _found(piece: Piece, done: subprocess.CompletedProcess[str], out: Path, work: Path) -> Any:
    """From the file that the measurement wrote, or the last line that it printed."""
    written = work / piece.rows if piece.rows else out
    # `edgetl bench` ends with 1 where its figures must not be quoted, and says so in the report.
    if done.returncode not in (0, 1) or (done.returncode == 1 and not piece.words.startswith("edgetl bench")):
        raise EdgetlError(f"{piece.name}: `{_shown(piece)}` ended with exit code {done.returncode}")
    return _read(written, work) if written.is_file() else _without(work, done.stdout.splitlines()[-1])


def _read(written: Path, work: Path) -> Any:
    return _without(work, written.read_text())


def _without(work: Path, text: str) -> Any:
    """The JSON without where this tree lies, which says nothing to others."""
    return json.loads(text.replace(f"{work}/", ""))


def _shown(piece: Piece) -> str:
    """The command as somebody would type it, with what the environment asks of it."""
    names = {name: f"{name}.edgetl" for name in _MODELS}
    words = piece.words.format(out="OUT.json", work="OUT", **names)
    asked = "".join(f"{name}={os.environ[name]} " for name in _ASKED if name in os.environ)
    return words if words.startswith("edgetl ") else f"{asked}python -m {words}"


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False).stdout

    own = ("benchmarks/results/", "docs/")  # what this program writes itself
    changed = [line for line in git("status", "--porcelain").splitlines() if not line[3:].startswith(own)]
    return (git("rev-parse", "--short", "HEAD").strip() or "not known") + (" and changes" if changed else "")


def _priority() -> str:
    """`real-time` where nobody else is let in before (`chrt -r 1 …`), else by how nice this process is."""
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        return "real-time"
    return {0: "usual"}.get(nice := os.getpriority(os.PRIO_PROCESS, 0), "low" if nice > 0 else "high")


def _today() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


def read_results(folder: Path = RESULTS) -> dict[str, Result]:
    """All kept results by name. Raises UsageError for a file that is none."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Result)
        except msgspec.MsgspecError as error:
            raise UsageError(f"{path}: no result of this program ({error})") from error
    return found


@click.command()
@click.argument("names", nargs=-1)
@click.option("--page-only", is_flag=True, help="Measure nothing; write the page from the results that are kept.")
@click.option("--resume", is_flag=True, help="Go on from the rows of the results that are kept.")
def main(names: tuple[str, ...], page_only: bool, resume: bool) -> None:
    """Measures what is named, or all that is short, and writes the page."""
    from edgetl.benchmarks.document import write_document

    known = {piece.name: piece for piece in PIECES}
    if wrong := [name for name in names if name not in known]:
        raise click.UsageError(f"{wrong[0]}: not among {', '.join(known)}")
    wanted = [known[name] for name in names] or [piece for piece in PIECES if piece.short]
    failed = []
    for piece in [] if page_only else wanted:
        click.echo(f"$ {_shown(piece)}", err=True)
        try:
            click.echo(f"{piece.name}: {measure(piece, resume=resume).seconds:.0f} s", err=True)
        except EdgetlError as error:  # the others are worth having
            failed.append(str(error))
    click.echo(str(write_document(read_results(), ROOT / "docs")))
    if failed:
        raise click.ClickException("; ".join(failed))


if __name__ == "__main__":
    sys.exit(ended(main))
