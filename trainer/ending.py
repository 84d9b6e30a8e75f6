"""What a run ends with: the size that it judges at, its plots and its page."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess
from edgetl.trainer import run_folder
from edgetl.trainer.data import TrainingData
from edgetl.trainer.inference import outputs_of
from edgetl.trainer.input_size import choose_size, logits_at
from edgetl.trainer.network import channels_last
from edgetl.trainer.plots import plot_confusion, plot_curves
from edgetl.trainer.preparation import Prepared
from edgetl.trainer.probe import compute_features, logits_of
from edgetl.trainer.progress import Reporter
from edgetl.trainer.reporting.page import Split, write_report
from edgetl.trainer.run_folder import RunRecord


def choose_picture_size(
    out: Path, prepared: Prepared, record: RunRecord, device: torch.device, reporter: Reporter
) -> None:
    """Gives the run another picture size than it was trained with, where val is judged clearly better at that."""
    run_folder.write_record(out, record)
    run = run_folder.read_run(out)
    paths, truth = _val(prepared)
    found = choose_size(run.network().to(device), Path(run.settings.data), paths, truth, record.preprocessing, reporter)
    if found is None:
        reporter.say(f"pictures stay at {record.preprocessing.size} px: no other size is clearly better on val")
        return
    record.preprocessing = msgspec.structs.replace(record.preprocessing, size=found.size)
    record.val_balanced_accuracy = found.accuracy
    reporter.say(f"pictures will be judged at {found.size} px: val balanced accuracy {found.accuracy:.4f}")


def report(out: Path, record: RunRecord, prepared: Prepared, device: torch.device, reporter: Reporter) -> None:
    """Draws the curves and the confusion matrix on val, and writes the page."""
    run, data = run_folder.read_run(out), prepared.data
    record.val_balanced_accuracy = round(record.val_balanced_accuracy, 6)
    plot_curves(out / "results.csv", out / "curves.png")
    how, (paths, truth), rows = record.preprocessing, _val(prepared), data.rows("val")
    if how.size == run.settings.imgsz:
        logits = _judged(run, data, rows, device, reporter)
        split = Split(name="val", paths=paths, truth=truth, image=lambda i: data.images[rows[i]])
    else:
        root = Path(run.settings.data)
        logits = logits_at(channels_last(run.network().to(device)), root, paths, how).numpy()
        split = Split(
            name="val", paths=paths, truth=truth, image=lambda i: preprocess(read_picture(root / paths[i]), how)
        )
    plot_confusion(truth, logits.argmax(axis=1), data.labels, out / "confusion_val.png", "validation")
    write_report(run, split, logits)
    best = f"best epoch {record.best_epoch}"
    if record.blend is not None:
        best = f"blend, {record.blend:.0%} of the way to epoch {record.best_epoch}"
    reporter.say(f"{best}: val balanced accuracy {record.val_balanced_accuracy:.4f}; in {out}")


def _val(prepared: Prepared) -> tuple[list[str], NDArray[np.int64]]:
    """Files and classes of val's pictures."""
    rows = prepared.data.rows("val")
    return [prepared.splits[row].path for row in rows], prepared.data.targets[rows]


@torch.inference_mode()
def _judged(
    run: run_folder.Run, data: TrainingData, rows: NDArray[np.int64], device: torch.device, reporter: Reporter
) -> NDArray[np.float32]:
    """Logits of pictures by the run's best weights; those of a probe come from features that are known already."""
    network = channels_last(run.network().to(device))
    if run.settings.recipe == "probe":
        logits = logits_of(network, compute_features(network, data, rows, 64, device, reporter))
    else:
        logits = outputs_of(network, data, rows, device)
    found: NDArray[np.float32] = logits.numpy()
    return found
