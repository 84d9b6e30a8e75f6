"""Learning from good parts alone beside anomalib: `python -m edgetl.benchmarks.one_class_peers OUT [--peer PYTHON] [-- FLAGS …]`.

In turns: edgetl's one-class recipe with its int8 export (FLAGS go to that), and anomalib's PaDiM and PatchCore on the same
backbone, a MobileNetV2 with the same weights, at the same size. All learn from the same good pictures (edgetl keeps some of them
for its threshold and to calibrate with) and judge the same test pictures one by one on one thread, from the file to the score:
edgetl the int8 file that ships, in LiteRT, anomalib its model in torch. Training times and memory are those of the whole process.
With --peer PYTHON an environment that has anomalib already is used; else one is made in OUT.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from edgetl.benchmarks.commands_of import data_root, no_cache, run_edgetl
from edgetl.benchmarks.machine import machine
from edgetl.benchmarks.peers.anomaly_texts import JUDGE_WITH_ANOMALIB, JUDGE_WITH_EDGETL, LEARN
from edgetl.benchmarks.peers.environments import ANOMALIB, python_with, run, versions
from edgetl.benchmarks.peers.loops import in_timms_names
from edgetl.benchmarks.peers.rounds import Figures, in_rounds
from edgetl.benchmarks.real_pictures import SETS, WEIGHTS
from edgetl.exits import ended
from edgetl.runtime.files import write_file
from edgetl.runtime.metrics import auroc

MODEL = "mobilenet_v2"


class Parts(msgspec.Struct, frozen=True):
    """Good parts to learn from, and what to learn them with."""

    out: Path
    data: Path
    good: str
    weights: Path | None
    imgsz: int
    share: float
    flags: tuple[str, ...] = ()


def good_alone(data: Path, good: str, out: Path) -> Path:
    """Links DATA/train/<good> and all of DATA/test in `out`: what one-class training takes. Returns `out`."""
    shutil.rmtree(out, ignore_errors=True)
    for folder in [data / "train" / good, *sorted(p for p in (data / "test").iterdir() if p.is_dir())]:
        link = out / folder.parent.name / folder.name
        link.mkdir(parents=True)
        for picture in folder.iterdir():
            (link / picture.name).symlink_to(picture.resolve())
    return out


def by_edgetl(parts: Parts) -> Figures:
    """`edgetl train --recipe one-class` and `edgetl export`."""
    trained, bundle = parts.out / "run", parts.out / "part.edgetl"
    shutil.rmtree(trained, ignore_errors=True)
    _, learning = run_edgetl("train", "--recipe", "one-class", "--data", parts.data, "--model", MODEL, "--weights",
                             parts.weights or "none", "--ok", parts.good, "--imgsz", parts.imgsz, "--out", trained,
                             environment=no_cache(parts.out / "cache"))  # fmt: skip
    told, exporting = run_edgetl("export", trained, "--out", bundle, *parts.flags)
    before, _ = run_edgetl("evaluate", trained, "--data", parts.data)
    return {
        **judged(Path(sys.executable), JUDGE_WITH_EDGETL, bundle, parts, "edgetl"), "auroc_float": round(before["auroc"]["value"], 4),
        "train_s": learning.seconds, "train_peak_mb": learning.peak_mb, "export_s": exporting.seconds, "export_peak_mb": exporting.peak_mb, "rung": told["rung"],
        "artifact_bytes": bundle.stat().st_size,
    }  # fmt: skip


def by_anomalib(algorithm: str, peer: Callable[[], Path], parts: Parts, weights: Path | None) -> Figures:
    """anomalib's engine on the same pictures and weights."""
    python = peer()
    folder = parts.out / algorithm
    shutil.rmtree(folder, ignore_errors=True)
    _, learning = run(python, LEARN, parts.data, parts.good, algorithm, parts.imgsz, weights or "", parts.share, folder,
                      folder=folder, name=f"{algorithm} learning")  # fmt: skip
    artifact = next(folder.rglob("model.pt"))
    return {
        **judged(python, JUDGE_WITH_ANOMALIB, artifact, parts, algorithm), "train_s": learning.seconds,
        "train_peak_mb": learning.peak_mb, "artifact_bytes": artifact.stat().st_size,
        "versions": versions(python, "anomalib", "torch"),
    }  # fmt: skip


def judged(python: Path, program: str, artifact: Path, parts: Parts, name: str) -> Figures:
    """AUROC on the test pictures, milliseconds a picture, and the peak memory of the process that judges them."""
    printed, cost = run(
        python, program, artifact, parts.data / "test", parts.good, folder=parts.out / "judging", name=name
    )
    told: dict[str, Any] = json.loads(printed[-1])
    area = auroc(np.array(told["scores"]), np.array(told["bad"], np.bool_))
    assert area is not None
    return {"auroc": round(area.value, 4), "ms": round(told["ms"], 2), "judge_peak_mb": cost.peak_mb}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
@click.option("--peer", type=click.Path(path_type=Path, exists=True), default=None, help="A Python with anomalib.")
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True), default=None, help="Default: the screws in $EDGETL_DATA."
)
@click.option("--good", default="screw", show_default=True, help="The class to learn.")
@click.option("--weights", default=None, help="A file, or none. Default: those of MobileNetV2 in $EDGETL_DATA.")
@click.option("--imgsz", default=224, show_default=True)
@click.option("--share", default=0.01, show_default=True, help="Of all patches, those that PatchCore keeps; its own default, 0.1, takes ten times as long.")  # fmt: skip
@click.option("--rounds", default=3, show_default=True)
def main(
    out: Path, flags: tuple[str, ...], peer: Path | None, data: Path | None, good: str, weights: str | None, imgsz: int, share: float,
    rounds: int,
) -> None:  # fmt: skip
    """Interleaved rounds of all of them, then one line of JSON, also written to OUT/one_class_peers.json."""
    out, data = out.resolve(), (data or data_root() / SETS["screws"]).resolve()
    folder = out / "one-class"
    folder.mkdir(parents=True, exist_ok=True)
    own = None if weights == "none" else Path(weights or data_root() / WEIGHTS).resolve()
    timms = in_timms_names(Path(sys.executable), MODEL, own, folder / "timm.pth") if own else None
    parts = Parts(folder, good_alone(data, good, folder / "parts"), good, own, imgsz, share, flags)

    def peers_python() -> Path:
        return python_with(ANOMALIB, peer, out / "anomalib-python")

    rows = in_rounds(rounds, {
        "edgetl": lambda _: by_edgetl(parts),
        "anomalib PaDiM": lambda _: by_anomalib("padim", peers_python, parts, timms),
        "anomalib PatchCore": lambda _: by_anomalib("patchcore", peers_python, parts, timms),
    })  # fmt: skip
    counts = {
        "train": len(list((parts.data / "train" / good).iterdir())),
        "test": len(list((parts.data / "test").glob("*/*"))),
    }
    result = {"rows": rows, "pictures": counts, "good": good, "imgsz": imgsz, "share": share, "machine": machine()}
    write_file(out / "one_class_peers.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(ended(main))
