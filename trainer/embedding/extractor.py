"""Which net gives the features, and how it wants its pictures: a name of timm's or open_clip's, or a run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch

from edgetl.errors import UsageError
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import weights
from edgetl.trainer.backbones import describe
from edgetl.trainer.clip import PREFIX, load_clip
from edgetl.trainer.network import FeatureNet, Network, channels_last
from edgetl.trainer.normalization import AUTO
from edgetl.trainer.oneclass.features import backbone_of
from edgetl.trainer.run_folder import read_run

USUAL_SIZE = 224


class Extractor(msgspec.Struct, frozen=True):
    """A net on its device, the preprocessing that it is to be fed by, its name, and where its weights came from.
    `test_hashes`: the pictures (SHA-256) that a run kept for testing; of the others, it knows too much to be judged by."""

    net: FeatureNet
    how: Preprocessing
    model: str
    weights: str
    test_hashes: frozenset[str] = frozenset()


class Looking(msgspec.Struct, frozen=True, kw_only=True):
    """How pictures are looked at, as far as it was asked for; `size` None is the net's own, or 224 px. `normalization` is
    what the weights expect, auto what they say of it."""

    size: int | None = None
    resize: str = "squash"
    region: tuple[float, float, float, float] | None = None
    normalization: str = AUTO


def extractor_of(model: str, weights_from: str, looking: Looking, device: torch.device) -> Extractor:
    """The net of that name. A run brings its own weights and its own preprocessing. Raises UsageError, WeightsError."""
    if is_run(model):
        return _of_run(Path(model), weights_from, looking, device)
    if model.startswith(PREFIX):
        if looking.normalization != AUTO:
            raise UsageError(f"{model} brings its own normalization; give none")
        clip = load_clip(model, weights_from, looking.size)
        return Extractor(clip.to(device), _how(looking, clip.size), f"{PREFIX}{clip.name}", clip.source)
    backbone = describe(model)
    size = looking.size or USUAL_SIZE
    network = Network(backbone, 0, size)
    source = weights.load_into(network, weights_from, looking.normalization)
    return Extractor(channels_last(network.to(device)), _how(looking, size), backbone.timm_name, source)


def is_run(model: str) -> bool:
    """Whether a name is that of a run's folder, or can only be meant as one."""
    return Path(model).is_dir() or ("/" in model and not model.startswith(PREFIX))


def _of_run(folder: Path, weights_from: str, looking: Looking, device: torch.device) -> Extractor:
    if weights_from != "auto" or looking != Looking():
        raise UsageError(f"{folder} is a run, with its own weights and preprocessing; leave the other flags out")
    run = read_run(folder)
    network = backbone_of(channels_last(run.network().to(device)))
    tested = frozenset(picture.sha256 for picture in run.splits if picture.split == "test")
    return Extractor(network, run.record.preprocessing, run.settings.model, f"run:{folder.resolve().name}", tested)


def _how(looking: Looking, size: int) -> Preprocessing:
    return msgspec.convert({"size": size, "resize": looking.resize, "region": looking.region}, Preprocessing)
