"""One training run from class folders to a run folder."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import time
from pathlib import Path

import msgspec
import numpy as np
import torch

from edgetl import __version__
from edgetl.errors import DatasetError, UsageError, storage
from edgetl.runtime.dataset import Listing, list_pictures
from edgetl.runtime.decision import DecisionRule, usual_ok_labels
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import run_folder, store, weights
from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.finetune import EpochRow, Finetuning
from edgetl.trainer.network import Network, best_device, channels_last
from edgetl.trainer.plots import plot_confusion, plot_curves
from edgetl.trainer.probe import train_probe
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import RunRecord, SplitRecord
from edgetl.trainer.settings import Settings
from edgetl.trainer.splits import SPLITS, divide, near_duplicate_groups


class Prepared(msgspec.Struct):
    """A data set decoded and divided."""

    data: TrainingData
    splits: list[SplitRecord]
    passed_over: dict[str, str]


def train(settings: Settings, out: Path, *, resume: bool, reporter: Reporter) -> RunRecord:
    """Trains and fills the run folder `out`. Ctrl-C keeps the best so far and re-raises KeyboardInterrupt."""
    started = time.monotonic()
    _claim(out, resume)
    torch.manual_seed(settings.seed)
    prepared = prepare(settings, reporter)
    if resume and prepared.splits != run_folder.read_run(out).splits:
        raise DatasetError(f"{settings.data}: its pictures changed since {out} began; train again without --resume")
    device = best_device(settings.device)
    network, source = _network(settings, prepared.data, device)
    record = _record(settings, prepared, source)
    if not resume:
        run_folder.write_settings(out, settings)
        run_folder.write_splits(out, prepared.splits)
    _say_data(prepared, record, device, reporter)
    try:
        _teach(settings, out, network, prepared.data, record, device, resume, reporter)
        record.complete = True
    finally:
        record.seconds = round(time.monotonic() - started, 1)
        if (out / run_folder.BEST).exists():
            run_folder.write_record(out, record)
    _report(out, record, prepared.data, device, reporter)
    return record


def _claim(out: Path, resume: bool) -> None:
    """Refuses to mix two runs in one folder."""
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
    if resume and not (out / run_folder.LAST).exists():
        raise UsageError(f"{out}: nothing to resume (no {run_folder.LAST}); train without --resume")
    if not resume and any(out.iterdir()):
        raise UsageError(f"{out}: not empty; choose another --out, or go on with --resume")


def prepare(settings: Settings, reporter: Reporter) -> Prepared:
    """Lists, decodes and divides the data set. Raises DatasetError."""
    listing = list_pictures(Path(settings.data))
    _check_ok(settings, listing)
    how = preprocessing_of(settings)
    reporter.begin("decoding", len(listing.pictures))
    stored = store.load(Path(listing.root), listing.pictures, how, lambda done, _: reporter.advance(done))
    passed_over = {**listing.passed_over, **stored.passed_over}
    for path, reason in passed_over.items():
        reporter.say(f"passed over: {path}: {reason}")
    _check_labels(listing, stored)
    groups = near_duplicate_groups(stored.samples, stored.fingerprints)
    splits = divide(stored.samples, groups, settings.seed)
    number = {label: i for i, label in enumerate(listing.labels)}
    data = TrainingData(
        images=stored.images,
        targets=np.array([number[s.label] for s in stored.samples], np.int64),
        splits=np.array(splits),
        labels=listing.labels,
    )
    records = [SplitRecord(s.path, s.label, s.sha256, x) for s, x in zip(stored.samples, splits, strict=True)]
    _check_leakage(records, reporter)
    return Prepared(data, records, passed_over)


def preprocessing_of(settings: Settings) -> Preprocessing:
    """The preprocessing record that a run's settings ask for."""
    return Preprocessing(size=settings.imgsz, resize=settings.resize, region=settings.region)


def _check_ok(settings: Settings, listing: Listing) -> None:
    if unknown := sorted(set(settings.ok) - set(listing.labels)):
        raise UsageError(f"--ok {', '.join(unknown)}: no such class; the data set has {', '.join(listing.labels)}")


def _check_labels(listing: Listing, stored: store.Store) -> None:
    if len(listing.labels) < 2:
        raise DatasetError(f"{listing.root}: only one class ({listing.labels[0]}); training needs at least two")
    if missing := sorted(set(listing.labels) - {s.label for s in stored.samples}):
        raise DatasetError(f"{listing.root}: no picture of class {', '.join(missing)} can be read")


def _check_leakage(records: list[SplitRecord], reporter: Reporter) -> None:
    """Says where the data set's own folders put the same picture on both sides."""
    trained = {r.sha256 for r in records if r.split == "train"}
    for split in SPLITS[1:]:
        if shared := [r.path for r in records if r.split == split and r.sha256 in trained]:
            reporter.say(f"warning: {len(shared)} pictures of {split} are also in train, first {shared[0]}")


def _network(settings: Settings, data: TrainingData, device: torch.device) -> tuple[Network, str]:
    backbone = describe(settings.model)
    network = Network(backbone, len(data.labels), settings.imgsz)
    source = weights.load_into(network.net, backbone, settings.weights)
    return channels_last(network.to(device)), source


def _record(settings: Settings, prepared: Prepared, source: str) -> RunRecord:
    labels = prepared.data.labels
    counts = {split: len(prepared.data.rows(split)) for split in SPLITS}
    names = ("torch", "timm", "numpy", "opencv-python")
    versions = {n: importlib.metadata.version(n) for n in names if _installed(n)}
    return RunRecord(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        complete=False,
        rule=DecisionRule(labels, settings.ok or usual_ok_labels(labels)),
        preprocessing=preprocessing_of(settings),
        weights=source,
        best_epoch=0,
        val_balanced_accuracy=0.0,
        pictures=counts,
        passed_over=prepared.passed_over,
        seconds=0.0,
        versions={"edgetl": __version__, "python": platform.python_version(), **versions},
    )


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _say_data(prepared: Prepared, record: RunRecord, device: torch.device, reporter: Reporter) -> None:
    counts = ", ".join(f"{n} {split}" for split, n in record.pictures.items())
    reporter.say(
        f"{len(record.rule.labels)} classes ({', '.join(record.rule.labels)}); pictures: {counts}; on {device}"
    )
    if set(record.rule.ok_labels) == set(record.rule.labels):
        reporter.say(
            "no class is named as the good one, so every label counts as OK (sorting); --ok LABEL changes that"
        )


def _teach(
    settings: Settings, out: Path, network: Network, data: TrainingData, record: RunRecord,
    device: torch.device, resume: bool, reporter: Reporter,
) -> None:  # fmt: skip
    """Runs the recipe; the best weights and the record are on disk whenever this is interrupted."""
    pretrained = settings.weights != "none"
    if settings.recipe == "probe" or (pretrained and not resume):
        head = train_probe(network, data, 64, device, reporter)
        record.val_balanced_accuracy = head.val_balanced_accuracy
        reporter.say(f"probe: val balanced accuracy {head.val_balanced_accuracy:.4f} (penalty {head.penalty:g})")
        run_folder.write_best(out, network)
    if settings.recipe == "probe":
        run_folder.write_results(out, [EpochRow(0, 0.0, 0.0, head.val_loss, head.val_balanced_accuracy, 0.0, 0.0)])
        return
    state = Finetuning(network, data, settings, device)
    if resume:
        run_folder.read_last(out, state)
        best = state.at.best()
        record.best_epoch, record.val_balanced_accuracy = best.epoch, best.val_balanced_accuracy

    def keep(state: Finetuning, row: EpochRow, better: bool) -> None:
        if better:
            run_folder.write_best(out, network if row.epoch == 0 else state.average.module)
            record.best_epoch, record.val_balanced_accuracy = row.epoch, row.val_balanced_accuracy
        run_folder.write_results(out, state.at.rows)
        run_folder.write_record(out, record)
        run_folder.write_last(out, state)

    state.run(keep, reporter)


def _report(out: Path, record: RunRecord, data: TrainingData, device: torch.device, reporter: Reporter) -> None:
    """Draws the curves and the confusion matrix on val."""
    run = run_folder.read_run(out)
    record.val_balanced_accuracy = round(record.val_balanced_accuracy, 6)
    plot_curves(out / "results.csv", out / "curves.png")
    network = run.network().to(device)
    rows = data.rows("val")
    with torch.inference_mode():
        predicted = torch.cat([network(p.to(device)).argmax(dim=1).cpu() for p, _ in data.batches(rows, 64)]).numpy()
    plot_confusion(data.targets[rows], predicted, data.labels, out / "confusion_val.png", "validation")
    reporter.say(f"best epoch {record.best_epoch}: val balanced accuracy {record.val_balanced_accuracy:.4f}; in {out}")
