"""One one-class run: whiten, remember, hold out, set the threshold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.errors import TrainingError, UsageError
from edgetl.runtime.anomaly import BankRecord, DetectorRecord
from edgetl.runtime.decision import DecisionRule, Limits, probabilities
from edgetl.runtime.metrics import balanced_accuracy, confusion_matrix
from edgetl.trainer import run_folder
from edgetl.trainer.data import TrainingData
from edgetl.trainer.network import Network, best_device
from edgetl.trainer.oneclass.bank import Bank, choose_bank, held_out_distance
from edgetl.trainer.oneclass.data import prepare_good
from edgetl.trainer.oneclass.features import Features, grids_of, make_feature_network
from edgetl.trainer.oneclass.threshold import Threshold, threshold_of
from edgetl.trainer.oneclass.whitening import fit_whitening
from edgetl.trainer.plots import plot_distances
from edgetl.trainer.preparation import Prepared
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import Rank
from edgetl.trainer.reporting.page import Split, write_report
from edgetl.trainer.reproducible import make_reproducible
from edgetl.trainer.run_folder import RunRecord, SplitRecord
from edgetl.trainer.settings import Settings
from edgetl.trainer.starting import network_of, record_of
from edgetl.trainer.training import claimed

BATCH = 16


def train_one_class(
    settings: Settings, out: Path, *, resume: bool, reporter: Reporter, rank: Rank | None = None
) -> RunRecord:
    """Learns what good parts look like and fills the run folder `out`. Raises UsageError, DatasetError, TrainingError."""
    if rank is not None and rank.count > 1:
        raise UsageError("--recipe one-class learns in one process; start it without torchrun")
    with claimed(out, resume):
        return _train(settings, out, reporter)


def _train(settings: Settings, out: Path, reporter: Reporter) -> RunRecord:
    started = time.monotonic()
    device = best_device(settings.device)
    make_reproducible(settings.seed, device)
    prepared = prepare_good(settings, reporter)
    data = prepared.data
    network, source = network_of(settings, data, device, reporter)
    record = record_of(settings, prepared, network, source)
    make_feature_network(network).eval()
    _whiten(network, data, device, reporter)
    reporter.say(f"good parts are {data.labels[0]}; pictures: "
                 + ", ".join(f"{n} {split}" for split, n in record.pictures.items()) + f"; on {device}")  # fmt: skip
    rows = np.flatnonzero(np.isin(data.splits, ("train", "val")))
    detector = DetectorRecord(
        grids=grids_of(network, settings.imgsz), entries=settings.bank, false_alarm=settings.false_alarm, held_out=0
    )
    features = _features(network, data, rows, detector, device, reporter)
    trained = features.of(data.rows("train").tolist())
    bank = choose_bank(trained, np.array(prepared.groups), detector, settings.bank, settings.seed)
    held_out = _held_out(features, bank, detector, reporter)
    threshold = threshold_of(held_out[data.targets[rows] == 0], settings.false_alarm)
    record.detector = msgspec.structs.replace(
        detector, entries=len(bank.entries), held_out=threshold.pictures,
        banks={run_folder.FLOAT: BankRecord(str(run_folder.BANK), threshold.distance, threshold.spread)},
    )  # fmt: skip
    record.rule = rule_of(data.labels, threshold)
    record.val_balanced_accuracy = _on_val(data, rows, held_out > threshold.distance)
    _say(prepared, rows, held_out, threshold, reporter)
    record.seconds, record.complete = round(time.monotonic() - started, 1), True
    _write(settings, out, network, prepared.splits, bank, record)
    _report(out, prepared, rows, held_out, threshold)
    return record


def rule_of(labels: tuple[str, ...], threshold: Threshold) -> DecisionRule:
    """OK up to the threshold, NG from where the held-out pictures leave no doubt, UNKNOWN between."""
    surely = float(probabilities(np.array([0.0, threshold.band], np.float32))[1])
    return DecisionRule(labels, labels[:1], limits=Limits(0.5, surely))


def _whiten(network: Network, data: TrainingData, device: torch.device, reporter: Reporter) -> None:
    rows = data.rows("train")
    reporter.begin("whitening", len(rows))

    def batches() -> Iterator[Tensor]:
        for done, (pixels, _) in enumerate(data.batches(rows, BATCH), start=1):
            yield pixels.to(device)
            reporter.advance(min(done * BATCH, len(rows)))

    fit_whitening(network, batches())


@torch.inference_mode()
def _features(
    network: Network, data: TrainingData, rows: NDArray[np.int64], record: DetectorRecord, device: torch.device,
    reporter: Reporter,
) -> Features:  # fmt: skip
    """What the network gives for the pictures `rows`. Raises TrainingError where the weights are broken."""
    reporter.begin("features", len(rows))
    features, done = Features(rows.tolist(), record.values), 0
    for pixels, _ in data.batches(rows, BATCH):
        values = network(pixels.to(device)).cpu().numpy()
        if not np.isfinite(values).all():
            raise TrainingError("the backbone gives features that are not finite; its weights are damaged")
        for own in values:
            features[int(rows[done])] = own
            done += 1
        reporter.advance(done)
    return features


def _held_out(features: Features, bank: Bank, record: DetectorRecord, reporter: Reporter) -> NDArray[np.float64]:
    reporter.begin("held out", len(features))
    found = []
    for picture, values in features.items():
        found.append(held_out_distance(values, picture, bank, record))
        reporter.advance(len(found))
    return np.array(found, np.float64)


def _on_val(data: TrainingData, rows: NDArray[np.int64], called_bad: NDArray[np.bool_]) -> float:
    """The mean share of val's good, and if there are any of its bad, pictures that lie on their side of the threshold."""
    val = data.splits[rows] == "val"
    truth, called = data.targets[rows][val], called_bad[val].astype(np.int64)
    return round(balanced_accuracy(confusion_matrix(truth, called, 2)), 6)


def _say(
    prepared: Prepared, rows: NDArray[np.int64], held_out: NDArray[np.float64], threshold: Threshold, reporter: Reporter
) -> None:
    """The threshold with what it was read from, what val says of it, and good pictures that look like none."""
    data = prepared.data
    reporter.say(
        f"threshold {threshold.distance:.3f} for {threshold.false_alarm:.1%} false alarms, from {threshold.pictures} held-out "
        f"good pictures; NG from {threshold.surely:.3f}, above which with 95 % confidence no more of the good ones lie"
    )
    for target, what in enumerate(data.labels):
        own = held_out[(data.splits[rows] == "val") & (data.targets[rows] == target)]
        if len(own):
            reporter.say(f"val: {int((own > threshold.distance).sum())} of {len(own)} {what} above the threshold")
    far = (held_out > threshold.surely) & (data.targets[rows] == 0)
    for position in np.flatnonzero(far)[np.argsort(-held_out[far])][:3]:
        path = prepared.splits[rows[position]].path
        reporter.say(f"warning: {path} lies at {held_out[position]:.3f}, like no other good picture; is it good?")


def _report(
    out: Path, prepared: Prepared, rows: NDArray[np.int64], held_out: NDArray[np.float64], threshold: Threshold
) -> None:
    """Draws the distances, and writes the page with val's mistakes."""
    data = prepared.data
    groups = {label: held_out[data.targets[rows] == target] for target, label in enumerate(data.labels)}
    shown = {label: distances for label, distances in groups.items() if len(distances)}
    plot_distances(shown, threshold.distance, threshold.surely, out / "distances.png")
    val = data.rows("val")
    paths = [prepared.splits[row].path for row in val]
    split = Split(name="val", paths=paths, truth=data.targets[val], image=lambda i: data.images[val[i]])
    write_report(run_folder.read_run(out), split)


def _write(
    settings: Settings, out: Path, network: Network, splits: list[SplitRecord], bank: Bank, record: RunRecord
) -> None:
    run_folder.write_settings(out, settings)
    run_folder.write_splits(out, splits)
    run_folder.write_best(out, network)
    run_folder.write_bank(out, bank)
    run_folder.write_record(out, record)
