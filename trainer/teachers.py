"""Whoever teaches: a finished run, or a pretrained net to which a head is fitted first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgetl.errors import RunError, UsageError
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer.clip import PREFIX
from edgetl.trainer.data import TrainingData
from edgetl.trainer.distillation import Teacher, TeacherRecord
from edgetl.trainer.embedding.extractor import Looking, extractor_of, is_run
from edgetl.trainer.inference import outputs_of
from edgetl.trainer.network import FeatureNet, channels_last
from edgetl.trainer.normalization import AUTO
from edgetl.trainer.probe import balanced_of, compute_features, fit_head
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run, RunRecord, read_run
from edgetl.trainer.settings import Settings

BATCH = 64


def teacher_of(
    settings: Settings, how: Preprocessing, data: TrainingData, device: torch.device, reporter: Reporter
) -> Teacher | None:
    """The teacher that the settings name: a finished run, or a pretrained net to which a head is fitted first.

    `how` is the student's preprocessing. Raises UsageError where it does not suit, WeightsError, MissingPartError.
    """
    if settings.teacher is None:
        return None
    if settings.recipe == "probe":
        raise UsageError("--recipe probe learns from labels alone; leave --teacher out, or take another recipe")
    if is_run(settings.teacher):
        for flag, value in (("weights", settings.teacher_weights), ("normalization", settings.teacher_normalization)):
            if value != AUTO:
                raise UsageError(
                    f"--teacher {settings.teacher} is a run, with its own {flag}; leave --teacher-{flag} out"
                )
        teacher = _of_run(read_run(Path(settings.teacher)), how, data, device)
    else:
        teacher = _of_backbone(settings, settings.teacher, how, data, device, reporter)
    accuracy = teacher.record.val_balanced_accuracy
    reporter.say(f"teacher {settings.teacher}: val balanced accuracy {accuracy:.4f}")
    return teacher


def splits_of_teacher(settings: Settings) -> dict[str, str]:
    """SHA-256 to split of the pictures that a teaching run knew: what taught it must not test its student."""
    if settings.teacher is None or not is_run(settings.teacher):
        return {}
    return {picture.sha256: picture.split for picture in read_run(Path(settings.teacher)).splits}


def check_same(teacher: Teacher | None, before: TeacherRecord | None, name: str | None) -> None:
    """Raises RunError where a run that goes on would be taught by another teacher than it began with."""
    if teacher is not None and (before is None or teacher.record.sha256 != before.sha256):
        raise RunError(f"the teacher {name} changed since the run began; train again without --resume")


def weigh_teacher(record: RunRecord, recipe: str, reporter: Reporter) -> None:
    """Says where a teacher cannot do much good."""
    if record.teacher is None:
        return
    if recipe == "probe":
        record.teacher = None
        reporter.say("the teacher is not asked: a probe learns from labels alone; --recipe finetune lets it teach")
    elif 0 < record.val_balanced_accuracy >= record.teacher.val_balanced_accuracy:  # 0: it has no probe
        reporter.say("the teacher is no better on val than the student's own probe; it may hold the student back")


def _of_run(run: Run, how: Preprocessing, data: TrainingData, device: torch.device) -> Teacher:
    labels, theirs = run.record.rule.labels, run.record.preprocessing
    if set(labels) != set(data.labels):
        raise UsageError(
            f"--teacher {run.folder} knows {', '.join(labels)}, the data set has {', '.join(data.labels)}; "
            "take a teacher of the same classes"
        )
    if msgspec.structs.replace(theirs, size=how.size) != how:
        raise UsageError(
            f"--teacher {run.folder} sees another part of the frame (resize {theirs.resize}, region {theirs.region}); "
            "give the student the same --resize and --region"
        )
    network, order = channels_last(run.network().to(device)), [labels.index(label) for label in data.labels]

    def answer(pixels: Tensor) -> Tensor:
        answered: Tensor = network(of_size(pixels, theirs.size))[:, order]
        return answered

    record = TeacherRecord(
        model=run.settings.model, weights=f"run:{run.folder.resolve().name}", sha256=_digest(network.state_dict()),
        val_balanced_accuracy=_judged(answer, data, device),
    )  # fmt: skip
    return Teacher(answer, record)


def _judged(answer: Callable[[Tensor], Tensor], data: TrainingData, device: torch.device) -> float:
    """Balanced accuracy on val as the student's pictures are: at another size a run is not as good as it says of itself."""
    rows = data.rows("val")
    logits = outputs_of(answer, data, rows, device, BATCH)
    return balanced_of(logits, torch.from_numpy(data.targets[rows]))


def _of_backbone(
    asked: Settings, name: str, how: Preprocessing, data: TrainingData, device: torch.device, reporter: Reporter
) -> Teacher:
    size = None if name.startswith(PREFIX) else how.size
    looking = Looking(size=size, resize=how.resize, region=how.region, normalization=asked.teacher_normalization)
    extractor = extractor_of(name, asked.teacher_weights, looking, device)
    net = _Resizing(extractor.net, extractor.how.size)
    rows, val_rows = data.rows("train"), data.rows("val")
    features = compute_features(net, data, np.concatenate([rows, val_rows]), BATCH, device, reporter)
    train, val = features[: len(rows)], features[len(rows) :]
    targets, val_targets = (torch.from_numpy(data.targets[r]) for r in (rows, val_rows))
    head = fit_head(train, targets, val, val_targets, data.class_weights())
    record = TeacherRecord(
        model=extractor.model, weights=extractor.weights, sha256=_digest(extractor.net.state_dict()),
        val_balanced_accuracy=balanced_of(val @ head.weight.T + head.bias, val_targets),
    )  # fmt: skip
    weight, bias = head.weight.to(device), head.bias.to(device)
    return Teacher(lambda pixels: net.features(pixels).float() @ weight.T + bias, record)


class _Resizing(msgspec.Struct):
    """A net that is shown the student's pictures at its own size."""

    net: FeatureNet
    size: int

    def eval(self) -> object:
        return self.net.eval()

    def state_dict(self) -> Mapping[str, Tensor]:
        return self.net.state_dict()

    def digest(self) -> str:
        return f"{self.net.digest()} at {self.size}"

    def features(self, pixels: Tensor) -> Tensor:
        return self.net.features(of_size(pixels, self.size))


def of_size(pixels: Tensor, size: int) -> Tensor:
    """N×3×S×S pixels as N×3×`size`×`size`."""
    if pixels.shape[-1] == size:
        return pixels
    return F.interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False)


def _digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and values of a net's tensors."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
