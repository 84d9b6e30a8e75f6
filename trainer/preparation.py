"""The data set of a run: listed, decoded, checked and divided."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import DatasetError, UsageError
from edgetl.runtime.dataset import Listing, list_pictures
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import run_folder, store
from edgetl.trainer.data import TrainingData
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import SplitRecord
from edgetl.trainer.settings import Settings
from edgetl.trainer.splits import (
    SPLITS,
    Sample,
    calibrating,
    carry_over,
    contradictions,
    divide,
    near_duplicate_groups,
    require_train_and_val,
)
from edgetl.trainer.teachers import splits_of_teacher


class Prepared(msgspec.Struct):
    """A data set decoded and divided."""

    data: TrainingData
    groups: list[int]  # of near-duplicates, one number a picture
    splits: list[SplitRecord]
    passed_over: dict[str, str]


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
    if known:
        splits = carry_over(stored.samples, groups, known, settings.seed)
        require_train_and_val(stored.samples, splits)
    else:
        splits = divide(stored.samples, groups, settings.seed)
    number = {label: i for i, label in enumerate(listing.labels)}
    data = TrainingData(
        images=stored.images,
        targets=np.array([number[s.label] for s in stored.samples], np.int64),
        splits=np.array(splits),
        labels=listing.labels,
    )
    _say_drawn(stored.samples, splits, reporter)
    records = recorded(stored.samples, groups, splits, settings.seed)
    check_leakage(records, reporter)
    return Prepared(data, groups, records, passed_over)


def recorded(samples: list[Sample], groups: list[int], splits: list[str], seed: int) -> list[SplitRecord]:
    """What a run keeps of its pictures: where each is, and which calibrate."""
    marks = calibrating(samples, groups, splits, seed)
    return [
        SplitRecord(s.path, s.label, s.sha256, split, mark)
        for s, split, mark in zip(samples, splits, marks, strict=True)
    ]


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
        before = settings.start is not None and run_folder.read_run(Path(settings.start)).settings.ok == settings.ok
        whence = " (asked of the run of --from; name the good class with --ok)" if before else ""
        raise UsageError(
            f"--ok {', '.join(unknown)}{whence}: no such class; the data set has {', '.join(listing.labels)}"
        )


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
    """Says where a val folder that the user made lacked a class, so that pictures had to come from train."""
    if "val" in {s.fixed for s in samples}:
        drawn = {s.label for s, x in zip(samples, splits, strict=True) if x == "val" and s.fixed != "val"}
        if drawn:
            reporter.say(f"val has no picture of class {', '.join(sorted(drawn))}: some are taken from train")
