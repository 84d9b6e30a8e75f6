"""Guesses: for each picture of a folder the class whose words fit it best, and how much better than the others'."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgetl.errors import UsageError
from edgetl.runtime.dataset import pictures_below
from edgetl.runtime.decision import probabilities
from edgetl.runtime.metrics import Metrics, measure
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import store
from edgetl.trainer.clip import ClipModel, load_clip
from edgetl.trainer.data import TrainingData
from edgetl.trainer.network import best_device
from edgetl.trainer.probe import compute_features
from edgetl.trainer.progress import Reporter
from edgetl.trainer.zeroshot.wording import PROMPTS, Described, sentences_of

BATCH = 64


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Which pictures, which classes, which model; `size` None is the model's own."""

    data: Path
    classes: tuple[Described, ...]
    model: str
    weights: str = "auto"
    prompts: tuple[str, ...] = PROMPTS
    size: int | None = None
    resize: str = "squash"
    region: tuple[float, float, float, float] | None = None
    device: str = "auto"


class Guess(msgspec.Struct, frozen=True):
    """One picture: the best label, its chance among the classes asked about (0 to 1), and every label's."""

    path: str
    sha256: str
    label: str
    confidence: float
    chances: tuple[float, ...]


class Guesses(msgspec.Struct, frozen=True, kw_only=True):
    """All guesses, in the order of the paths. `judged`: how right they are of pictures that lie in folders with the names
    of these classes, if there are any."""

    labels: tuple[str, ...]
    model: str
    weights: str
    guesses: tuple[Guess, ...]
    passed_over: dict[str, str]
    judged: Metrics | None


def guess(options: Options, reporter: Reporter) -> Guesses:
    """Reads every picture below a folder. Raises DatasetError, UsageError, WeightsError, MissingPartError."""
    if options.weights == "none":
        raise UsageError("--weights none would guess at random; name a file, a tag of open_clip's, or auto")
    pictures, passed_over = pictures_below(options.data)
    device = best_device(options.device)
    model = load_clip(options.model, options.weights, options.size).to(device)
    texts = text_features(model, options.classes, options.prompts)
    how = msgspec.convert(
        {"size": model.size, "resize": options.resize, "region": options.region}, Preprocessing
    )  # fmt: skip
    reporter.begin("decoding", len(pictures))
    stored = store.load(options.data, pictures, how, lambda done, _: reporter.advance(done))
    store.require_pictures(options.data, stored)
    count, labels = len(stored.samples), tuple(described.label for described in options.classes)
    data = TrainingData(stored.images, np.zeros(count, np.int64), np.full(count, "train"), labels)
    features = compute_features(model, data, np.arange(count), BATCH, device, reporter)
    chances = probabilities(logits_of(model, features, texts))
    return Guesses(
        labels=labels, model=model.name, weights=model.source,
        guesses=tuple(
            Guess(s.path, s.sha256, labels[int(row.argmax())], float(row.max()), tuple(map(float, row)))
            for s, row in zip(stored.samples, chances, strict=True)
        ),
        passed_over={**passed_over, **stored.passed_over},
        judged=_judged([s.label for s in stored.samples], chances.argmax(axis=1), labels),
    )  # fmt: skip


def text_features(model: ClipModel, classes: tuple[Described, ...], prompts: tuple[str, ...]) -> Tensor:
    """Classes×features of length 1, on the CPU: the middle of each class's sentences."""
    sentences = [sentences_of(described, prompts) for described in classes]
    middles = [model.text_features(own).mean(dim=0) for own in sentences]
    return F.normalize(torch.stack(middles), dim=1).cpu()


def logits_of(model: ClipModel, features: Tensor, texts: Tensor) -> NDArray[np.float32]:
    """Pictures×classes: cosines of pictures and words, at the scale that the model learned."""
    logits: NDArray[np.float32] = (model.sharpness * F.normalize(features, dim=1) @ texts.T).numpy()
    return logits


def _judged(folders: list[str], said: NDArray[np.int64], labels: tuple[str, ...]) -> Metrics | None:
    known = [i for i, folder in enumerate(folders) if folder in labels]
    if not known:
        return None
    truth = np.array([labels.index(folders[i]) for i in known], np.int64)
    return measure(truth, said[known].astype(np.int64), labels)
