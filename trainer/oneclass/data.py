"""A data set of good parts: which class is the good one, and where pictures of other classes may lie."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import DatasetError, UsageError
from edgetl.runtime.anomaly import ANOMALY
from edgetl.runtime.dataset import Listing, list_pictures
from edgetl.runtime.decision import USUAL_OK_NAMES
from edgetl.trainer import store
from edgetl.trainer.data import TrainingData
from edgetl.trainer.preparation import Prepared, check_leakage, known_splits, preprocessing_of, recorded
from edgetl.trainer.progress import Reporter
from edgetl.trainer.settings import Settings
from edgetl.trainer.splits import Sample, carry_over, contradictions, divide, near_duplicate_groups

FEWEST = 20  # good pictures; of fewer too little is left to learn from, to hold out and to calibrate with


def prepare_good(settings: Settings, reporter: Reporter) -> Prepared:
    """Lists, decodes and divides the data set; whatever is not of the good class is an anomaly. Raises DatasetError."""
    listing = list_pictures(Path(settings.data))
    good = good_class(listing, settings.ok)
    reporter.begin("decoding", len(listing.pictures))
    how = preprocessing_of(settings)
    stored = store.load(Path(listing.root), listing.pictures, how, lambda done, _: reporter.advance(done))
    contradicting = contradictions(stored.samples)
    stored = store.without(stored, contradicting)
    passed_over = {**listing.passed_over, **stored.passed_over, **contradicting}
    for path, reason in passed_over.items():
        reporter.say(f"passed over: {path}: {reason}")
    groups = near_duplicate_groups(stored.samples, stored.fingerprints)
    splits = divide_good(listing.root, stored.samples, groups, good, known_splits(settings), settings.seed)
    labels = (good, ANOMALY)
    named = [good if s.label == good else ANOMALY for s in stored.samples]
    alike = [msgspec.structs.replace(s, label=label) for s, label in zip(stored.samples, named, strict=True)]
    records = recorded(alike, groups, splits, settings.seed)
    check_leakage(records, reporter)
    data = TrainingData(
        images=stored.images, targets=np.array([labels.index(name) for name in named], np.int64),
        splits=np.array(splits), labels=labels,
    )  # fmt: skip
    return Prepared(data, groups, records, passed_over)


def good_class(listing: Listing, asked: tuple[str, ...]) -> str:
    """The class of good parts: the one asked for, the only one in train, or the one with a usual name."""
    trained = sorted({p.label for p in listing.pictures if p.split in (None, "train")})
    if asked:
        good = _asked(listing, trained, asked)
    else:
        usual = [label for label in trained if label.casefold() in USUAL_OK_NAMES]
        named = trained if len(trained) == 1 else usual
        if len(named) != 1:
            raise DatasetError(
                f"{listing.root}: which class is good? train has {', '.join(trained) or 'none'}; name one with --ok"
            )
        good = named[0]
    if good == ANOMALY:
        raise DatasetError(f"{listing.root}: the good class is called {ANOMALY}; rename its folder")
    others = sorted({p.label for p in listing.pictures if p.split == "train"} - {good})
    if others:
        raise DatasetError(
            f"{listing.root}: train holds class {', '.join(others)} beside the good class {good}; one-class training "
            f"learns from good parts alone: move the others to {listing.root}/test"
        )
    return good


def _asked(listing: Listing, trained: list[str], asked: tuple[str, ...]) -> str:
    if len(asked) > 1:
        raise UsageError(f"--ok {', '.join(asked)}: one-class training has one good class; put the pictures together")
    if asked[0] not in trained:
        raise UsageError(f"--ok {asked[0]}: no such class to train with; the data set has {', '.join(listing.labels)}")
    return asked[0]


def divide_good(
    root: str, samples: list[Sample], groups: list[int], good: str, known: dict[str, str], seed: int
) -> list[str]:
    """The split of each sample: where an earlier run had it (`known`: SHA-256 to split); good ones as ever; bad ones, where
    no folder says, go to val and test in turn. A bad one that trained the earlier run goes to val: it may not be learned from as if it
    were good, nor test."""
    own = [i for i, s in enumerate(samples) if s.label == good]
    if len(own) < FEWEST:
        raise DatasetError(
            f"{root}: {len(own)} readable pictures of the good class {good}; one-class training needs at least {FEWEST}"
        )
    ours, theirs = [samples[i] for i in own], [groups[i] for i in own]
    divided = carry_over(ours, theirs, known, seed) if known else divide(ours, theirs, seed)
    splits = dict(zip(own, divided, strict=True))
    turns: dict[str, dict[int, int]] = defaultdict(dict)
    for i, sample in enumerate(samples):
        if i not in splits:
            turn = turns[sample.label].setdefault(groups[i], len(turns[sample.label]))
            before = known.get(sample.sha256)
            splits[i] = (before if before == "test" else "val") if before else sample.fixed or ("val", "test")[turn % 2]
    return [splits[i] for i in range(len(samples))]
