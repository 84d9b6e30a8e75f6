"""How good a net is after as much time as edgetl took: `python -m edgetl.benchmarks.training_peers OUT [--peer PYTHON] [-- FLAGS …]`.

In turns, one seed a round: `edgetl train`, which decides itself how (FLAGS go to it); then, each stopped when that time is over, the loop of timm's
train.py and that of torchvision's reference script, fine-tuning the same weights of a MobileNetV2; and Ultralytics' classify
trainer on its own YOLOv8n classifier, which begins from nothing, since its weights lie on a hub: what it reaches says how far one
gets without any, not how good that trainer is. All learn from the pictures that edgetl learns from, and may choose an epoch by the
same val; accuracy is that of the float net on the same test folder, through each program's own preprocessing. The time begins with
the process; edgetl's ends with its report, the others' with the last batch.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import yaml

from edgetl.benchmarks.commands_of import data_root, no_cache, run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.peers import texts, ultralytics
from edgetl.benchmarks.peers.environments import ULTRALYTICS, python_with, versions
from edgetl.benchmarks.peers.folders import in_folders
from edgetl.benchmarks.peers.loops import TIMM_NAMES, Work, in_timms_names, trained
from edgetl.benchmarks.peers.rounds import Figures, in_rounds
from edgetl.benchmarks.real_pictures import SETS, WEIGHTS
from edgetl.exits import ended
from edgetl.runtime.files import write_file
from edgetl.runtime.spare import cores

MODEL = "mobilenet_v2"
_UNDER = {"train": "train", "val": "val", "test": "test"}


class Training(msgspec.Struct):
    """What is to be learned, and, once edgetl has, how long the others may take."""

    out: Path
    data: Path
    weights: Path | None
    imgsz: int
    batch: int
    seconds: float | None
    flags: tuple[str, ...]
    limit: float = 0.0

    @property
    def run(self) -> Path:
        """edgetl's run of this round."""
        return self.out / "run"

    def work(self, model: str, weights: Path | None, seed: int) -> Work:
        """The same for another program."""
        workers = cores()
        return Work(self.out / "pictures", model, self.imgsz, self.batch, workers, seconds=self.limit, weights=weights, seed=seed)  # fmt: skip


def by_edgetl(training: Training, seed: int) -> Figures:
    """`edgetl train`, whose time and pictures the others are given."""
    shutil.rmtree(training.run, ignore_errors=True)
    weights = training.weights or "none"
    _, cost = run_edgetl("train", "--data", training.data, "--model", MODEL, "--weights", weights, "--imgsz", training.imgsz,
                         "--batch", training.batch, "--seed", seed, "--out", training.run, *training.flags,
                         environment=no_cache(training.out / "cache"))  # fmt: skip
    training.limit = training.seconds or cost.seconds
    in_folders(training.run, training.data, training.out / "pictures", _UNDER)
    judged, _ = run_edgetl("evaluate", training.run, "--data", training.data, "--split", "test")
    return {"balanced_accuracy": round(100 * judged["balanced_accuracy"], 2), "seconds": cost.seconds, "peak_mb": cost.peak_mb,
            "recipe": yaml.safe_load((training.run / "args.yaml").read_text())["recipe"]}  # fmt: skip


def by_loop(python: Path, program: str, work: Work, folder: Path, name: str) -> Figures:
    """Another program's loop, stopped when its time is over."""
    done = trained(python, program, work, folder / name, name)
    return {"balanced_accuracy": done.balanced_accuracy, "seconds": round(done.epochs[-1]["at"], 2), "peak_mb": done.cost.peak_mb,
            "epochs": len(done.epochs)}  # fmt: skip


def by_ultralytics(peer: Callable[[], Path], training: Training, seed: int) -> Figures:
    """Ultralytics' trainer on its own net, from nothing."""
    python = peer()
    work = training.work(ultralytics.NET, None, seed)
    told = by_loop(python, texts.ULTRALYTICS, work, training.out, "ultralytics")
    return {**told, "versions": versions(python, "ultralytics", "torch")}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.option("--peer", type=click.Path(path_type=Path, exists=True), default=None, help="A Python with ultralytics.")
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True), default=None, help="Default: TrashNet in $EDGETL_DATA."
)
@click.option("--weights", default=None, help="A file in torchvision's names, or none. Default: those in $EDGETL_DATA.")
@click.option("--imgsz", default=224, show_default=True)
@click.option("--batch", default=32, show_default=True)
@click.option("--seconds", type=float, default=None, help="For the others, in place of the time that edgetl takes.")
@click.option("--rounds", default=3, show_default=True)
def main(
    out: Path, flags: tuple[str, ...], peer: Path | None, data: Path | None, weights: str | None, imgsz: int, batch: int, seconds: float | None, rounds: int
) -> None:  # fmt: skip
    """Interleaved rounds of all trainers, then one line of JSON, also written to OUT/training_peers.json."""
    out, data = out.resolve(), (data or data_root() / SETS["trashnet"]).resolve()
    folder = out / "training"
    folder.mkdir(parents=True, exist_ok=True)
    own = None if weights == "none" else Path(weights or data_root() / WEIGHTS).resolve()
    python = Path(sys.executable)
    timms = in_timms_names(python, MODEL, own, folder / "timm.pth") if own else None
    training = Training(folder, data, own, imgsz, batch, seconds, flags)

    def loop(name: str, program: str, model: str, start: Path | None) -> Callable[[int], Figures]:
        return lambda seed: by_loop(python, program, training.work(model, start, seed), folder, name)

    def peers_python() -> Path:
        return python_with(ULTRALYTICS, peer, out / "ultralytics-python")

    rows = in_rounds(rounds, {
        "edgetl": lambda seed: by_edgetl(training, seed),
        "timm": loop("timm", texts.TIMM, TIMM_NAMES[MODEL], timms),
        "torchvision": loop("torchvision", texts.TORCHVISION, MODEL, own),
        "ultralytics, from nothing": lambda seed: by_ultralytics(peers_python, training, seed),
    })  # fmt: skip
    result = {"rows": rows, "imgsz": imgsz, "batch": batch, "cores": cores(),
              "versions": versions(python, "torch", "timm", "torchvision"), "machine": machine()}  # fmt: skip
    write_file(out / "training_peers.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
