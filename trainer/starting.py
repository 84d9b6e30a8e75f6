"""What a run begins with: the network with its weights, and the record."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

import torch
from torch import nn

from edgetl import __version__
from edgetl.errors import WeightsError
from edgetl.runtime.decision import DecisionRule, usual_ok_labels
from edgetl.runtime.timestamp import utc_now
from edgetl.trainer import run_folder, weights
from edgetl.trainer.backbones import Backbone, describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.distillation import Teacher
from edgetl.trainer.network import Network, channels_last
from edgetl.trainer.oneclass.features import backbone_of
from edgetl.trainer.preparation import Prepared, preprocessing_of
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import RunRecord
from edgetl.trainer.settings import Settings
from edgetl.trainer.splits import SPLITS


def network_of(settings: Settings, data: TrainingData, device: torch.device, reporter: Reporter) -> tuple[Network, str]:
    """The network to begin with, and where its weights came from. The head of one that begins from nothing says nothing: as timm
    draws it, a head for two classes has logits of ten and more, since some nets' heads are drawn by their number of classes alone.
    """
    backbone = describe(settings.model)
    network = Network(backbone, len(data.labels), settings.imgsz)
    if settings.start is None:
        asked = settings.weights if settings.pretrained else "none"
        source = weights.load_into(network, asked, settings.normalization, reporter.say)
    else:
        source = _from_run(network, backbone, Path(settings.start))
    if not settings.pretrained:
        for parameter in network.head.parameters():
            nn.init.zeros_(parameter)
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
    counts = {split: len(prepared.data.rows(split)) for split in SPLITS if split in prepared.data.splits}
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
