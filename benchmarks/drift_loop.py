"""The whole loop when the light drifts: `python -m edgetl.benchmarks.drift_loop OUT [--demo DIR]`.

A line is inspected with the demo's bundle while its lamp fades: drift is alarmed, and frames are collected, pulled,
labelled, merged into a new version of the data set, trained from the run before, exported and flashed; then the faded
line is inspected again, over the same parts each time, of which none is ever collected. A second round of the same
begins with what the first one left wrong. Every step is the command that a user would call. The labels that a person would give come
from the simulation, which knows the truth; they go in through the review page's own requests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import click
import msgspec

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.errors import EdgetlError
from edgetl.exits import ended
from edgetl.runtime.collect import read_collected
from edgetl.runtime.sim import Conveyor, ConveyorSettings

PARTS = 240
RATE = 300.0  # parts a minute
FADED = 0.4  # of the lamp's light
MINUTES = PARTS / RATE


class Inspected(msgspec.Struct, frozen=True):
    """One run of the line: parts, those judged wrong (another label than the truth, or none), and the alarm, if any."""

    parts: int
    wrong: int
    missed: int
    drift: str

    @property
    def right_share(self) -> float:
        """The yield of right verdicts."""
        return (self.parts - self.wrong - self.missed) / self.parts


class Round(msgspec.Struct, frozen=True):
    """One way round: what the line said while frames were collected, how many of them a person labelled, and what it
    says with the model that followed."""

    collecting: Inspected
    collected: int
    pulled: int
    labelled: int
    after: Inspected


class Result(msgspec.Struct, frozen=True):
    """The line before the lamp faded, while it did, faded with the old model, and after each round."""

    before: Inspected
    fading: Inspected
    faded: Inspected
    rounds: tuple[Round, ...]


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--demo", type=click.Path(path_type=Path), default=None, help="What `edgetl demo --out` wrote.  [default: made]")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 9), default=2, show_default=True)
def main(out: Path, demo: Path | None, rounds: int) -> None:
    """Runs the loop and writes OUT/drift_loop.json."""
    out.mkdir(parents=True, exist_ok=True)
    if demo is None:
        demo = out / "demo"
        run_edgetl("demo", "--out", demo)
    result = loop(out, demo, rounds)
    (out / "drift_loop.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    click.echo(_told(result))


def loop(out: Path, demo: Path, rounds: int) -> Result:
    """The steps, in order."""
    device = out / "device"
    flash(demo / "part.edgetl", device)
    before = inspect(device, out, ConveyorSettings(seed=11, parts=PARTS, parts_per_minute=RATE))
    drift = -(1 - FADED) / MINUTES
    fading_line = ConveyorSettings(seed=12, parts=PARTS, parts_per_minute=RATE, light_drift_per_minute=drift)
    fading = inspect(device, out, fading_line)
    faded = inspect(device, out, _faded(14))
    done: list[Round] = []
    run, data = demo / "run", demo / "data"
    for number in range(1, rounds + 1):
        folder = out / f"round-{number}"
        done.append(_round(device, out, folder, run, data, _faded(20 + number)))
        run, data = folder / "run", folder / "data"
    return Result(before, fading, faded, tuple(done))


def _faded(seed: int) -> ConveyorSettings:
    return ConveyorSettings(seed=seed, parts=PARTS, parts_per_minute=RATE, light=FADED)


def _round(device: Path, out: Path, folder: Path, run: Path, data: Path, line: ConveyorSettings) -> Round:
    """From frames that the line keeps to the model that learned from them."""
    folder.mkdir()
    collected = folder / "collected"
    collecting = inspect(device, out, line, collect=collected)
    pulled, labelled = fetch_and_label(device, collected, folder / "kept", Conveyor(line))
    run_edgetl("data", "merge", data, folder / "kept", "--out", folder / "data")
    run_edgetl("train", "--from", run, "--data", folder / "data", "--out", folder / "run")
    run_edgetl("export", folder / "run", "--out", folder / "part.edgetl", "--max-drop", 2)
    flash(folder / "part.edgetl", device)
    after = inspect(device, out, _faded(14))
    return Round(collecting, len(read_collected(collected)), pulled, labelled, after)


def fetch_and_label(device: Path, collected: Path, kept: Path, truth: Conveyor) -> tuple[int, int]:
    """Pulls what the device keeps and labels it; how many of each."""
    fetched, _ = run_edgetl("pull", f"local:{device}", "--folder", collected, "--out", kept)
    return fetched["fetched"], review(kept, truth)


_EDGETL = [sys.executable, "-m", "edgetl"]


def flash(bundle: Path, device: Path) -> None:
    """Signs a bundle and puts it on a device root of this machine, as on any device."""
    key = device.with_name("key")
    if not device.exists():
        subprocess.run([*_EDGETL, "slot", "prepare", "--root", device], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (device / "allowed_signers").write_text(f"engineer {key.with_suffix('.pub').read_text()}")
    release = device.with_name(f"{bundle.stem}-release.edgetl")
    run_edgetl("sign", bundle, "--key", key, "--out", release)
    run_edgetl("flash", release, "--to", f"local:{device}", "--no-camera")


def inspect(
    device: Path,
    out: Path,
    line: ConveyorSettings,
    *,
    collect: Path | None = None,
    window_parts: int = 20,
    pace: str = "fast",
) -> Inspected:
    """Runs the current slot's bundle over a conveyor, and watches for drift against one baseline; `collect` is a folder
    to keep frames in."""
    config: dict[str, Any] = {
        "drift": {
            "window_parts": window_parts,
            "window_s": 1,
            "baseline_windows": 10,
            "baseline": str(out / "baseline.json"),
        }
    }
    if collect is not None:
        config["collect"] = {"folder": str(collect), "per_minute": 6000}
    site = out / "line.yaml"
    site.write_text(json.dumps(config))  # JSON is YAML
    source = f"sim:pace={pace}," + ",".join(f"{k}={v}" for k, v in vars(line).items() if v is not None)
    bundle = device / "current" / "bundle.edgetl"
    command = [*_EDGETL, "run", str(bundle), "--source", source, "--config", str(site), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EdgetlError(f"edgetl run ended with exit code {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    score = json.loads(done.stdout.splitlines()[-1])["summary"]["line"]
    alarms = [s.removeprefix("edgetl: drift: ") for s in done.stderr.splitlines() if s.startswith("edgetl: drift: ")]
    return Inspected(score["parts"], score["wrong"], score["missed"], alarms[0] if alarms else "")


def review(kept: Path, truth: Conveyor) -> int:
    """Answers every picture on the review page with the truth about its part."""
    command = [*_EDGETL, "review", str(kept), "--port", "0"]
    part_of = {record.picture: record.part for record in read_collected(kept)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().rstrip("/")
        try:
            with urllib.request.urlopen(f"{address}/api/queue") as reply:
                items = json.load(reply)["items"]
            for item in items:
                part = part_of[item["picture"]]
                assert part is not None  # the sim's light barrier names every part
                content = json.dumps({"picture": item["picture"], "label": truth.truth(part)}).encode()
                urllib.request.urlopen(f"{address}/api/answer", content).close()
        finally:
            server.terminate()
    return len(items)


def _told(result: Result) -> str:
    rows = [("before", result.before), ("lamp fading to 40 %", result.fading), ("faded, old model", result.faded)]
    labelled, given = [], 0
    for number, one in enumerate(result.rounds, 1):
        rows += [(f"round {number}, collecting", one.collecting), (f"after round {number}", one.after)]
        given += one.labelled
        labelled.append(f"round {number}: {one.collected} collected, {one.pulled} pulled, {one.labelled} labelled")
    lines = [f"{'line':<22}{'right verdicts':>15}  drift"]
    lines += [f"{name:<22}{100 * run.right_share:>13.1f} %  {run.drift or '-'}" for name, run in rows]
    return "\n".join([*lines, *labelled, f"{given} labels in all"])


if __name__ == "__main__":
    sys.exit(ended(main))
