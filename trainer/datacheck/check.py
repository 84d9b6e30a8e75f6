"""One check of a data set: everything that can be found, in one record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import MissingPartError
from edgetl.runtime.dataset import Listing, list_pictures
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import builtin, store, weights
from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.datacheck import content, labels, shortcuts
from edgetl.trainer.datacheck.crossfit import out_of_fold
from edgetl.trainer.datacheck.curve import REACH, Curve, learning_curves
from edgetl.trainer.datacheck.facts import PictureFacts, facts_of
from edgetl.trainer.datacheck.finding import Finding
from edgetl.trainer.datacheck.near import near_across_classes
from edgetl.trainer.network import Network, best_device, channels_last
from edgetl.trainer.probe import compute_features
from edgetl.trainer.progress import Reporter
from edgetl.trainer.splits import near_duplicate_groups

BATCH = 64
FEWEST = 10  # pictures of a class that doubtful labels and learning curves ask for
SEVERITIES = ("error", "warning", "note")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at, and with which backbone; `weights` and `normalization` as for training. `reach`: the
    recall for which each class's needed pictures are told."""

    data: Path
    model: str = "mobilenet_v2"
    weights: str = "auto"
    normalization: str = "auto"
    imgsz: int = 224
    reach: float = REACH


class Check(msgspec.Struct, kw_only=True):
    """All that was found. `backbone` is empty, and there are no suspects and curves, where no weights were to be had;
    `skipped` then says why. `too_few`: classes that those leave out."""

    data: str
    pictures: dict[str, int]
    findings: list[Finding]
    suspects: list[labels.Suspect]
    curves: list[Curve]
    backbone: str
    skipped: str | None
    too_few: list[str] = []

    @property
    def passed(self) -> bool:
        """Whether nothing was found that makes a measured accuracy meaningless."""
        return not any(f.severity == "error" for f in self.findings)


def check(options: Options, reporter: Reporter) -> Check:
    """Looks at a data set. Raises DatasetError where it is none, WeightsError for a weights file that does not fit."""
    listing = list_pictures(options.data)
    how = Preprocessing(size=options.imgsz)
    reporter.begin("decoding", len(listing.pictures))
    stored = store.load(options.data, listing.pictures, how, lambda done, _: reporter.advance(done))
    stored.images.fill(np.arange(len(stored.samples)), lambda done, _: reporter.advance(done))
    reporter.begin("facts", len(stored.samples))
    facts = facts_of(options.data, stored, reporter.advance)
    groups = near_duplicate_groups(stored.samples, stored.fingerprints)
    found = _without_a_model(listing, stored, facts, groups)
    counts = {label: sum(f.label == label for f in facts) for label in listing.labels}
    result = Check(
        data=str(options.data), pictures=counts, findings=found, suspects=[], curves=[], backbone="", skipped=None
    )
    _with_a_model(options, listing, stored, groups, result, reporter)
    result.findings.sort(key=lambda f: SEVERITIES.index(f.severity))
    return result


def _without_a_model(
    listing: Listing, stored: store.Store, facts: list[PictureFacts], groups: list[int]
) -> list[Finding]:
    return [
        *content.unreadable({**listing.passed_over, **stored.passed_over}),
        *content.copies(facts),
        *content.near_copies(facts, near_duplicate_groups(stored.samples, stored.fingerprints, films=False)),
        *content.near_contradictions(facts, near_across_classes(stored)),
        *content.balance(facts),
        *content.odd_ones(facts),
        *shortcuts.shortcuts(facts, groups, listing.labels),
    ]


def _with_a_model(
    options: Options, listing: Listing, stored: store.Store, groups: list[int], result: Check, reporter: Reporter
) -> None:
    """Doubtful labels and learning curves, from a frozen backbone's features."""
    known = tuple(label for label in listing.labels if result.pictures[label] >= FEWEST)
    if (reason := _impossible(options, listing, known)) is not None:
        result.skipped = reason
        return
    result.too_few = [label for label in listing.labels if label not in known]
    network = _network(options, len(listing.labels), reporter)
    result.backbone = network.backbone.name
    chosen = np.array([n for n, s in enumerate(stored.samples) if s.label in known])
    features = _features(network, listing, stored, chosen, reporter)
    samples, together = [stored.samples[n] for n in chosen], [groups[n] for n in chosen]
    truth = np.array([known.index(s.label) for s in samples], np.int64)
    chances = out_of_fold(features, truth, together, len(known))
    result.suspects = labels.suspects([s.path for s in samples], truth, chances, known)
    result.findings += labels.doubtful_labels(result.suspects, len(truth))
    result.curves = learning_curves(features, truth, together, known, reach=options.reach)


def _impossible(options: Options, listing: Listing, known: tuple[str, ...]) -> str | None:
    if len(listing.labels) < 2:
        return "there is one class only"
    if options.weights == "none":
        return "they need pretrained weights"
    if len(known) < 2:
        return f"fewer than two classes have {FEWEST} pictures or more"
    return None


def _network(options: Options, classes: int, reporter: Reporter) -> Network:
    """The net that is asked for; where neither a hub nor edgetl has weights for it, the one that edgetl comes with: any net's features
    say something of labels. Raises UsageError, WeightsError."""
    network = Network(describe(options.model), classes, options.imgsz)
    try:
        weights.load_into(network, options.weights, options.normalization, reporter.say)
    except MissingPartError as error:
        own = builtin.MODELS[0]
        why = error.__cause__ or error  # without the advice what else could be named
        reporter.say(f"{why}: taking {own}, whose weights come with edgetl and know less")
        network = Network(describe(own), classes, options.imgsz)
        weights.load_into(network, builtin.NAME, options.normalization)
    return network


def _features(
    network: Network, listing: Listing, stored: store.Store, chosen: NDArray[np.int64], reporter: Reporter
) -> NDArray[np.float32]:
    """Chosen×features."""
    device, n = best_device(), len(stored.samples)
    data = TrainingData(stored.images, np.zeros(n, np.int64), np.full(n, "train"), listing.labels)
    found: NDArray[np.float32] = compute_features(
        channels_last(network.to(device)), data, chosen, BATCH, device, reporter
    ).numpy()
    return found
