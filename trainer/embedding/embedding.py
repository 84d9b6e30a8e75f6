"""A data set's features, and the file that holds them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.errors import storage
from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.files import replacing
from edgetl.trainer import store
from edgetl.trainer.data import TrainingData
from edgetl.trainer.embedding.extractor import Extractor, Looking, extractor_of
from edgetl.trainer.embedding.shots import Labelled
from edgetl.trainer.network import best_device
from edgetl.trainer.probe import compute_features
from edgetl.trainer.progress import Reporter
from edgetl.trainer.splits import Sample, near_duplicate_groups

BATCH = 64


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Whose features of what. `model` and `weights` as `extractor_of` takes them; the seed makes a net without weights."""

    data: Path
    model: str
    weights: str = "auto"
    looking: Looking = Looking()
    device: str = "auto"
    seed: int = 0


class Embedding(msgspec.Struct):
    """Features (n×d float32) of n readable pictures, their class numbers, and what else is known of them. `groups`: near
    copies of each other have the same number."""

    features: NDArray[np.float32]
    truth: NDArray[np.int64]
    labels: tuple[str, ...]
    samples: list[Sample]
    groups: list[int]
    extractor: Extractor
    passed_over: dict[str, str]

    def labelled(self) -> Labelled:
        """What the draws of handfuls need. To test: what the data set's folders or the run in use keep for it."""
        kept = self.extractor.test_hashes
        to_test = np.array([sample.fixed == "test" or sample.sha256 in kept for sample in self.samples], bool)
        return Labelled(self.features, self.truth, self.labels, np.array(self.groups, np.int64), to_test)


def embed(options: Options, reporter: Reporter) -> Embedding:
    """Looks at every picture once. Raises DatasetError, UsageError, WeightsError, MissingPartError."""
    listing = list_pictures(options.data)
    device = best_device(options.device)
    torch.manual_seed(options.seed)
    extractor = extractor_of(options.model, options.weights, options.looking, device)
    reporter.begin("decoding", len(listing.pictures))
    stored = store.load(options.data, listing.pictures, extractor.how, lambda done, _: reporter.advance(done))
    passed_over = {**listing.passed_over, **stored.passed_over}
    store.require_pictures(options.data, stored)
    truth = np.array([listing.labels.index(s.label) for s in stored.samples], np.int64)
    data = TrainingData(stored.images, truth, np.full(len(truth), "train"), listing.labels)
    features = compute_features(extractor.net, data, np.arange(len(truth)), BATCH, device, reporter).numpy()
    groups = near_duplicate_groups(stored.samples, stored.fingerprints)
    return Embedding(features, truth, listing.labels, stored.samples, groups, extractor, passed_over)


def write_npz(path: Path, embedding: Embedding) -> None:
    """Writes the features and all that says what they are of; read it with `numpy.load(path)`, which needs no pickles.

    Arrays: `features` n×d float32; `labels`, `paths`, `sha256`, `splits` n strings (a split is empty where no folder
    names one); `classes`; and as single strings `preprocessing` (JSON), `model`, `weights`. Raises StorageError.
    """
    samples, extractor = embedding.samples, embedding.extractor
    arrays = {
        "features": embedding.features,
        "labels": np.array([s.label for s in samples]),
        "paths": np.array([s.path for s in samples]),
        "sha256": np.array([s.sha256 for s in samples]),
        "splits": np.array([s.fixed or "" for s in samples]),
        "classes": np.array(embedding.labels),
        "preprocessing": np.array(msgspec.json.encode(extractor.how).decode()),
        "model": np.array(extractor.model),
        "weights": np.array(extractor.weights),
    }
    # Not numpy.savez: it leaves its archive open where the disk is full.
    with replacing(path) as temporary, storage(path), zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)  # type: ignore[no-untyped-call]
