"""One training run from class folders to a run folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from edgetl.errors import DatasetError, UsageError, storage
from edgetl.trainer import run_folder, store, tensorboard
from edgetl.trainer.augment import PRESETS
from edgetl.trainer.choosing import Probed, choose, shown
from edgetl.trainer.compiling import compile_network
from edgetl.trainer.data import TrainingData
from edgetl.trainer.distillation import Teacher
from edgetl.trainer.ending import choose_picture_size, report
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.improvement import balanced_hits
from edgetl.trainer.inference import BATCH
from edgetl.trainer.network import Network, best_device
from edgetl.trainer.parts_of_train import gain_unseen
from edgetl.trainer.preparation import Prepared, prepare, preprocessing_of
from edgetl.trainer.probe import features_of_changed, train_probe
from edgetl.trainer.progress import Reporter
from edgetl.trainer.ranks import Rank
from edgetl.trainer.reproducible import make_reproducible
from edgetl.trainer.run_folder import RunRecord
from edgetl.trainer.selection import EpochRow
from edgetl.trainer.settings import Settings
from edgetl.trainer.starting import network_of, record_of
from edgetl.trainer.teachers import check_same, teacher_of, weigh_teacher
from edgetl.trainer.weights import know_drawn_pictures_alone


def train(settings: Settings, out: Path, *, resume: bool, reporter: Reporter, rank: Rank | None = None) -> RunRecord:
    """Trains and fills the run folder `out`. Ctrl-C keeps the best so far and re-raises KeyboardInterrupt.

    `rank` is this process among several that train together; only the first of them writes.
    """
    rank = rank or Rank(best_device(settings.device))
    _check_ranks(settings, rank)
    with claimed(out, resume) if rank.first else nullcontext():
        rank.agreed(None)  # the others wait, so that they do not find what the first one writes
        return _train(settings, out, resume, reporter, rank)


def _train(settings: Settings, out: Path, resume: bool, reporter: Reporter, rank: Rank) -> RunRecord:
    started = time.monotonic()
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
    earlier_s = _take_up(out, record, rank) if resume else 0.0
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
            choose_picture_size(out, prepared, record, device, reporter)
        record.complete = True
    finally:
        record.seconds = round(earlier_s + time.monotonic() - started, 1)
        if rank.first and (out / run_folder.BEST).exists():
            run_folder.write_record(out, record)
    if rank.first:
        report(out, record, prepared, device, reporter)
    return record


def _take_up(out: Path, record: RunRecord, rank: Rank) -> float:
    """Keeps the rule of a run that was at its end already. Of one that was not, what `edgetl decide` chose is forgotten, since it was
    chosen for other weights. Returns how long it trained before."""
    before = run_folder.read_run(out).record
    if before.complete:
        record.rule = before.rule
    elif rank.first:
        run_folder.remove_decision(out)
    return before.seconds


def _check_ranks(settings: Settings, rank: Rank) -> None:
    if settings.tensorboard:
        tensorboard.require_tensorboard()
    if settings.batch < 2 * rank.count:
        raise UsageError(
            f"--batch {settings.batch} is too small for {rank.count} processes, each of which needs 2 pictures"
        )


@contextmanager
def claimed(out: Path, resume: bool) -> Iterator[None]:
    """Holds the run folder, so that no two trainings mix in it, neither one after the other nor at once. Raises UsageError."""
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY)
    try:
        _lock(folder, out)
        _check_free(out, resume)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, out: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"{out}: another training is at work there; wait for its end or choose another --out"
        ) from None
    except OSError:  # file systems over a network do not all lock folders
        return


def _check_free(out: Path, resume: bool) -> None:
    if resume and not (out / run_folder.LAST).exists():
        raise UsageError(f"{out}: nothing to resume (no {run_folder.LAST}); train without --resume")
    if not resume and any(out.iterdir()):
        further = ", or go on with --resume" if (out / run_folder.LAST).exists() else ""
        raise UsageError(f"{out}: not empty; choose another --out{further}")


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
    probed = None
    if settings.pretrained or settings.recipe == "probe":
        probed = _probe(settings, out, network, prepared.data, record, rank, reporter)
    if rank.first:
        drawn = know_drawn_pictures_alone(settings.weights, record.weights)
        decision = choose(settings, prepared, probed, drawn)
        # Two more trainings: not under a teacher, who makes them long, nor where somebody said what val has to show.
        on_parts = decision.on_parts and rank.count == 1 and settings.teacher is None and settings.margin is None
        settings = settings.decided(decision)
        if on_parts:
            settings = _shown_on_parts(settings, network, prepared, rank, reporter)
        run_folder.write_settings(out, settings)
    settings = rank.agreed(settings)
    weigh_teacher(record, settings.recipe, reporter)
    epochs = "" if settings.recipe == "probe" else f", {settings.epochs} epochs"
    reporter.say(f"recipe {settings.recipe}{epochs}: {'; '.join(settings.reasons)}")
    return settings


def _shown_on_parts(
    settings: Settings, network: Network, prepared: Prepared, rank: Rank, reporter: Reporter
) -> Settings:
    """The settings with a head alone, unless nets trained on parts of the pictures show that more is a gain."""
    _decode(prepared.data, reporter)
    reporter.say(
        f"{settings.recipe} or a head alone? val has too few pictures of a class: trained on parts of train, judged on the others"
    )
    with torch.random.fork_rng():  # so that what follows is the run that naming the recipe gives
        gain = gain_unseen(settings, network, prepared, rank.device, reporter)
    return shown(settings, gain)


def _probe(
    settings: Settings, out: Path, network: Network, data: TrainingData, record: RunRecord,
    rank: Rank, reporter: Reporter,
) -> Probed:  # fmt: skip
    """Fits the probe into the network's classifier and keeps it as the best so far."""
    head, features = train_probe(network, data, BATCH, rank.device, reporter, rank)
    record.val_balanced_accuracy = head.val_balanced_accuracy
    reporter.say(
        f"probe: val balanced accuracy {head.val_balanced_accuracy:.4f} (penalty {head.penalty:g}; "
        f"head fitted in {head.seconds:.2f} s)"
    )
    rank.align(network)
    if rank.first:
        run_folder.write_best(out, network)
        run_folder.write_results(out, [EpochRow(0, 0.0, 0.0, head.val_loss, head.val_balanced_accuracy, 0.0, 0.0)])

    def of_changed() -> torch.Tensor:
        _decode(data, reporter)
        return features_of_changed(network, data, PRESETS["natural"], settings.seed, BATCH, rank.device, reporter)

    return Probed(features, head.penalty, of_changed)


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
