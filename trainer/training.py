"""One training run from class folders to a run folder."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from contextlib import nullcontext
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl import __version__
from edgetl.errors import DatasetError, UsageError, WeightsError, storage
from edgetl.runtime.dataset import Listing, list_pictures
from edgetl.runtime.decision import DecisionRule, usual_ok_labels
from edgetl.runtime.metrics import balanced_accuracy, confusion_matrix
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.runtime.timestamp import utc_now
from edgetl.trainer import run_folder, store, tensorboard, weights
from edgetl.trainer.backbones import Backbone, describe
from edgetl.trainer.compiling import compile_network
from edgetl.trainer.data import TrainingData
from edgetl.trainer.datacheck.crossfit import out_of_fold
from edgetl.trainer.distillation import Teacher
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.improvement import balanced_hits
from edgetl.trainer.inference import outputs_of
from edgetl.trainer.input_size import choose_size, logits_at
from edgetl.trainer.network import Network, best_device, channels_last
from edgetl.trainer.oneclass.features import backbone_of
from edgetl.trainer.plots import plot_confusion, plot_curves
from edgetl.trainer.probe import compute_features, logits_of, train_probe
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import Rank
from edgetl.trainer.recipe import Facts, decide, separation
from edgetl.trainer.reporting.page import Split, write_report
from edgetl.trainer.reproducible import make_reproducible
from edgetl.trainer.run_folder import RunRecord, SplitRecord
from edgetl.trainer.selection import EpochRow
from edgetl.trainer.settings import Settings
from edgetl.trainer.splits import SPLITS, Sample, carry_over, contradictions, divide, near_duplicate_groups
from edgetl.trainer.teachers import check_same, splits_of_teacher, teacher_of, weigh_teacher


class Prepared(msgspec.Struct):
    """A data set decoded and divided."""

    data: TrainingData
    groups: list[int]  # of near-duplicates, one number a picture
    splits: list[SplitRecord]
    passed_over: dict[str, str]


def train(settings: Settings, out: Path, *, resume: bool, reporter: Reporter, rank: Rank | None = None) -> RunRecord:
    """Trains and fills the run folder `out`. Ctrl-C keeps the best so far and re-raises KeyboardInterrupt.

    `rank` is this process among several that train together; only the first of them writes.
    """
    started = time.monotonic()
    rank = rank or Rank(best_device(settings.device))
    _check_ranks(settings, rank)
    if rank.first:
        claim(out, resume)
    rank.agreed(None)  # the others wait, so that they do not find what the first one writes
    device = rank.device
    make_reproducible(settings.seed, device)
    prepared = prepare(settings, reporter)
    if resume and prepared.splits != run_folder.read_run(out).splits:
        raise DatasetError(f"{settings.data}: its pictures changed since {out} began; train again without --resume")
    if rank.agreed(prepared.splits) != prepared.splits:
        raise DatasetError(f"{settings.data}: the processes of this training do not see the same pictures")
    network, source = network_of(settings, prepared.data, device, reporter)
    teacher = teacher_of(settings, preprocessing_of(settings), prepared.data, device, reporter)
    if resume:
        check_same(teacher, run_folder.read_run(out).record.teacher, settings.teacher)
    record = record_of(settings, prepared, network, source, teacher)
    if not resume and rank.first:
        run_folder.write_settings(out, settings)
        run_folder.write_splits(out, prepared.splits)
    _say_data(prepared, record, device, reporter)
    try:
        if not resume:
            settings = _begin(settings, out, network, prepared, record, rank, reporter)
        if settings.recipe != "probe":
            _finetune(settings, out, network, prepared.data, record, rank, teacher, resume, reporter)
        if settings.choose_imgsz and rank.first:
            _choose_size(out, prepared, record, device, reporter)
        record.complete = True
    finally:
        record.seconds = round(time.monotonic() - started, 1)
        if rank.first and (out / run_folder.BEST).exists():
            run_folder.write_record(out, record)
    if rank.first:
        _report(out, record, prepared, device, reporter)
    return record


def _check_ranks(settings: Settings, rank: Rank) -> None:
    if settings.tensorboard:
        tensorboard.require_tensorboard()
    if settings.batch < 2 * rank.count:
        raise UsageError(
            f"--batch {settings.batch} is too small for {rank.count} processes, each of which needs 2 pictures"
        )


def claim(out: Path, resume: bool) -> None:
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
    contradicting = contradictions(stored.samples)
    stored = store.without(stored, contradicting)
    passed_over = {**listing.passed_over, **stored.passed_over, **contradicting}
    for path, reason in passed_over.items():
        reporter.say(f"passed over: {path}: {reason}")
    _check_labels(listing, stored)
    groups = near_duplicate_groups(stored.samples, stored.fingerprints)
    known = known_splits(settings)
    splits = (
        carry_over(stored.samples, groups, known, settings.seed)
        if known
        else divide(stored.samples, groups, settings.seed)
    )
    number = {label: i for i, label in enumerate(listing.labels)}
    data = TrainingData(
        images=stored.images,
        targets=np.array([number[s.label] for s in stored.samples], np.int64),
        splits=np.array(splits),
        labels=listing.labels,
    )
    _say_drawn(stored.samples, splits, reporter)
    records = [SplitRecord(s.path, s.label, s.sha256, x) for s, x in zip(stored.samples, splits, strict=True)]
    check_leakage(records, reporter)
    return Prepared(data, groups, records, passed_over)


def known_splits(settings: Settings) -> dict[str, str]:
    """SHA-256 to split of the runs to go on from or to learn from: what trained them must not test their successor."""
    taught = splits_of_teacher(settings)
    if settings.start is None:
        return taught
    started = {record.sha256: record.split for record in run_folder.read_run(Path(settings.start)).splits}
    return {**taught, **started, **{sha256: split for sha256, split in taught.items() if split == "train"}}


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


def check_leakage(records: list[SplitRecord], reporter: Reporter) -> None:
    """Says where the data set's own folders put the same picture on both sides."""
    trained = {r.sha256 for r in records if r.split == "train"}
    for split in SPLITS[1:]:
        if shared := [r.path for r in records if r.split == split and r.sha256 in trained]:
            reporter.say(f"warning: {len(shared)} pictures of {split} are also in train, first {shared[0]}")


def _say_drawn(samples: list[Sample], splits: list[str], reporter: Reporter) -> None:
    """Says where a folder that the user made lacked a class, so that pictures had to come from train."""
    for split in sorted({s.fixed for s in samples if s.fixed} & {"val", "calibration"}):
        drawn = {s.label for s, x in zip(samples, splits, strict=True) if x == split and s.fixed != split}
        if drawn:
            reporter.say(f"{split} has no picture of class {', '.join(sorted(drawn))}: some are taken from train")


def network_of(settings: Settings, data: TrainingData, device: torch.device, reporter: Reporter) -> tuple[Network, str]:
    """The network to begin with, and where its weights came from."""
    backbone = describe(settings.model)
    network = Network(backbone, len(data.labels), settings.imgsz)
    if settings.start is None:
        asked = settings.weights if settings.pretrained else "none"
        source = weights.load_into(network, asked, settings.normalization, reporter.say)
    else:
        source = _from_run(network, backbone, Path(settings.start))
    return channels_last(network.to(device)), source


def _from_run(network: Network, backbone: Backbone, folder: Path) -> str:
    """The best weights of another run. Its classifier does not count: the probe fits a new one first."""
    before = run_folder.read_run(folder)
    if describe(before.settings.model).timm_name != backbone.timm_name:
        raise WeightsError(f"{folder} holds a {before.settings.model}, not a {backbone.name}; leave --model out")
    donor = backbone_of(before.network())
    weights.fit(network.net, backbone, donor.net.state_dict(), str(folder))
    network.expect(donor.backbone.normalization)
    return f"run:{folder.resolve().name}"


def record_of(
    settings: Settings, prepared: Prepared, network: Network, source: str, teacher: Teacher | None = None
) -> RunRecord:
    """The record of a run that has not begun."""
    labels = prepared.data.labels
    counts = {split: len(prepared.data.rows(split)) for split in SPLITS}
    names = ("torch", "timm", "numpy", "opencv-python")
    versions = {n: importlib.metadata.version(n) for n in names if _installed(n)}
    return RunRecord(
        created=utc_now(),
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
        teacher=teacher.record if teacher else None,
        normalization=network.backbone.normalization,
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


def _begin(
    settings: Settings, out: Path, network: Network, prepared: Prepared, record: RunRecord,
    rank: Rank, reporter: Reporter,
) -> Settings:  # fmt: skip
    """Fits the probe where there is something to probe, decides what comes after it, and says why."""
    data, apart = prepared.data, None
    if settings.pretrained or settings.recipe == "probe":
        head, features = train_probe(network, data, 64, rank.device, reporter, rank)
        record.val_balanced_accuracy = head.val_balanced_accuracy
        reporter.say(
            f"probe: val balanced accuracy {head.val_balanced_accuracy:.4f} (penalty {head.penalty:g}; "
            f"head fitted in {head.seconds:.2f} s)"
        )
        rank.align(network)
        if rank.first:
            run_folder.write_best(out, network)
            run_folder.write_results(out, [EpochRow(0, 0.0, 0.0, head.val_loss, head.val_balanced_accuracy, 0.0, 0.0)])
        apart = _separation(prepared, features, head.penalty) if settings.recipe == "auto" else None
    decision = decide(_facts(data, apart), settings.recipe, settings.batch)
    weigh_teacher(record, decision.recipe, reporter)
    settings = rank.agreed(settings.decided(decision))
    if rank.first:
        run_folder.write_settings(out, settings)
    epochs = "" if settings.recipe == "probe" else f", {settings.epochs} epochs"
    reporter.say(f"recipe {settings.recipe}{epochs}: {'; '.join(settings.reasons)}")
    return settings


def _separation(prepared: Prepared, features: torch.Tensor, penalty: float) -> float:
    """How well heads on frozen features tell training pictures apart that they did not see."""
    data, rows = prepared.data, prepared.data.rows("train")
    truth, classes = data.targets[rows], len(data.labels)
    groups = [prepared.groups[row] for row in rows]
    guesses = out_of_fold(features.numpy(), truth, groups, classes, (penalty,)).argmax(axis=1)
    return separation(balanced_accuracy(confusion_matrix(truth, guesses, classes)), classes)


def _facts(data: TrainingData, apart: float | None) -> Facts:
    counts = np.bincount(data.targets[data.rows("train")], minlength=len(data.labels))
    return Facts(tuple(counts.tolist()), apart)


def _finetune(
    settings: Settings, out: Path, network: Network, data: TrainingData, record: RunRecord,
    rank: Rank, teacher: Teacher | None, resume: bool, reporter: Reporter,
) -> None:  # fmt: skip
    """Trains the layers that the recipe frees; the best weights and the record are on disk whenever this is interrupted."""
    _decode(data, reporter)
    data.stay_on(rank.device, np.concatenate([data.rows("train"), data.rows("val")]))
    state = Finetuning(network, data, settings, rank.device, teacher, rank)
    if settings.compile:
        compile_network(network, rank, reporter)
    if resume:
        run_folder.read_last(out, state)
        best = state.at.best()
        record.best_epoch, record.val_balanced_accuracy = best.epoch, best.val_balanced_accuracy

    board = tensorboard.Board(out, state.at.epoch) if settings.tensorboard and rank.first else None

    def keep(state: Finetuning, row: EpochRow, better: bool) -> None:
        if not rank.first:
            return
        if board is not None:
            board.add(row)
        if better:
            run_folder.write_best(out, network if row.epoch == 0 else state.average.module)
            record.best_epoch, record.val_balanced_accuracy = row.epoch, row.val_balanced_accuracy
        run_folder.write_results(out, state.at.rows)
        run_folder.write_record(out, record)
        run_folder.write_last(out, state)

    with board or nullcontext():
        state.run(keep, reporter)
    if state.blend is not None and rank.first:
        run_folder.write_best(out, network)
        record.best_epoch, record.blend = state.at.epoch, state.blend.share
        record.val_balanced_accuracy = balanced_hits(state.blend.judgement, data.targets[data.rows("val")])


def _decode(data: TrainingData, reporter: Reporter) -> None:
    """Decodes what the epochs will need, where an earlier run's features made that needless so far."""
    rows = np.concatenate([data.rows("train"), data.rows("val")])
    if isinstance(data.images, store.Pixels) and (missing := data.images.missing(rows)):
        reporter.begin("decoding", missing)
        data.images.fill(rows, lambda done, _: reporter.advance(done))


def _choose_size(out: Path, prepared: Prepared, record: RunRecord, device: torch.device, reporter: Reporter) -> None:
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


def _val(prepared: Prepared) -> tuple[list[str], NDArray[np.int64]]:
    """Files and classes of val's pictures."""
    rows = prepared.data.rows("val")
    return [prepared.splits[row].path for row in rows], prepared.data.targets[rows]


def _report(out: Path, record: RunRecord, prepared: Prepared, device: torch.device, reporter: Reporter) -> None:
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
