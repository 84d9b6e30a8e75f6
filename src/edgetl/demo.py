"""`edgetl demo`: the whole job on a drawn part, by the same commands that a user types, each shown as it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from edgetl.errors import EdgetlError, UsageError

# The part stands in the middle of the drawn frames; a region of 0.82 of the height always holds all of it.
REGION = "0.192,0.09,0.808,0.91"
TRAIN_PER_CLASS, TEST_PER_CLASS = 200, 40
# Less than a minute of training: all layers at one high rate, since the built-in weights know drawn pictures alone and 800
# pictures of the part are many. docs/benchmarks.md has the same from nothing.
MODEL, WEIGHTS, EPOCHS, RATE = "mobilenet_v2_050", "builtin", 8, 4e-3
TRAINING = ("--imgsz", 128, "--region", REGION, "--batch", 16, "--layer-ratio", 1, "--augmentation", "part")
PARTS, PARTS_PER_MINUTE = 100, 300


class Steps:
    """Runs edgetl's own commands one after the other, shows each, and keeps its last line of JSON."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.seconds: dict[str, float] = {}
        self.commands: list[str] = []

    def run(self, *args: object, judged: bool = False) -> dict[str, Any]:
        """Runs one command with --json and returns what its last line says; with `judged`, also where it failed a check."""
        words = [str(a) for a in args]
        shown = "edgetl " + " ".join(words)
        self.commands.append(shown)
        click.secho(f"\n$ {shown}", err=True, bold=True)
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "edgetl", *words, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
        self.seconds[words[0]] = round(self.seconds.get(words[0], 0.0) + time.monotonic() - started, 1)
        if done.returncode not in ((0, 1) if judged and done.stdout else (0,)):
            raise EdgetlError(
                f"the demo stopped: `{shown}` ended with exit code {done.returncode}; see its message above"
            )
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def _claim(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: not an empty folder; choose another --out")


def _run_all(steps: Steps, seed: int) -> dict[str, Any]:
    data, run, bundle = steps.out / "data", steps.out / "run", steps.out / "part.edgetl"
    steps.run("sim-data", "--out", data, "--train", TRAIN_PER_CLASS, "--test", TEST_PER_CLASS, "--seed", seed)
    steps.run("train", "--data", data, "--model", MODEL, "--weights", WEIGHTS, "--epochs", EPOCHS, "--lr", RATE,
              *TRAINING, "--seed", seed, "--out", run)  # fmt: skip
    steps.run("export", run, "--out", bundle)
    steps.run("verify", bundle)
    float_model = steps.run("evaluate", run, "--data", data)
    int8 = steps.run("evaluate", bundle, "--data", data, "--out", steps.out)
    # A busy machine makes the figures INVALID, which the table says; the parts are inspected all the same.
    bench = steps.run("bench", bundle, "--quick", "--out", steps.out / "bench.json", judged=True)
    source = f"sim:parts={PARTS},parts_per_minute={PARTS_PER_MINUTE},seed={seed + 1000}"
    line = steps.run("run", bundle, "--source", source, "--save", steps.out / "line.mp4")
    return {"float": float_model, "int8": int8, "bench": bench, "line": line["summary"], "bundle": bundle}


def _summary(results: dict[str, Any], steps: Steps, seconds: float) -> dict[str, Any]:
    """The demo's last line: a table's worth of figures."""
    import zipfile

    with zipfile.ZipFile(results["bundle"]) as archive:
        sizes = {
            i.filename.partition("/")[2]: i.file_size for i in archive.infolist() if i.filename.startswith("model/")
        }
    line, bench = results["line"], results["bench"]
    return {
        "line": line["line"],
        "float": {"balanced_accuracy": results["float"]["balanced_accuracy"], "n": results["float"]["n"]},
        "int8": {"balanced_accuracy": results["int8"]["balanced_accuracy"], "n": results["int8"]["n"]},
        "bytes": {**sizes, "bundle": results["bundle"].stat().st_size},
        "latency": {"bench_end_to_end": bench["end_to_end"], "line": line["latency_ms"]},
        "model": bench["chosen"],
        "latency_judged": bench["judgement"]["result"],
        "int8_speedup": bench["int8_speedup"],
        "seconds": {**steps.seconds, "total": round(seconds, 1)},
        "report": str(steps.out / "report.html"),
    }


def _table(summary: dict[str, Any]) -> str:
    line, sizes = summary["line"], summary["bytes"]
    end = summary["latency"]["bench_end_to_end"]
    rows = [
        ("balanced accuracy, float", f"{100 * summary['float']['balanced_accuracy']:.1f} %"),
        ("balanced accuracy, int8", f"{100 * summary['int8']['balanced_accuracy']:.1f} % of {summary['int8']['n']} pictures"),
        ("size, float and int8 TFLite", f"{sizes['float32.tflite'] / 1e6:.2f} and {sizes['int8.tflite'] / 1e6:.2f} MB"),
        ("picture to verdict", f"p50 {end['p50_ms']:.2f} ms, p99 {end['p99_ms']:.2f} ms ({summary['model']}; {summary['latency_judged']})"),
        ("parts on the line", f"{line['parts']} at {PARTS_PER_MINUTE} a minute"),
        ("missed, wrong", f"{line['missed']}, {line['wrong']} (bad parts passed: {line['escaped']}, good parts refused: {line['false_alarms']})"),
        ("time", f"{summary['seconds']['total']:.0f} s"),
        ("report", summary["report"]),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True, metavar="DIR")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print only the result, as one JSON line.")
def demo(out: Path, seed: int, as_json: bool) -> None:
    """The whole job on a drawn part: data, training, int8, bundle, benchmark, and a moving line."""
    from edgetl.demo_report import write_report

    _claim(out)
    started = time.monotonic()
    steps = Steps(out)
    results = _run_all(steps, seed)
    summary = _summary(results, steps, time.monotonic() - started)
    write_report(out, summary, steps.commands, _table(summary))
    click.echo(json.dumps(summary) if as_json else f"\n{_table(summary)}")
