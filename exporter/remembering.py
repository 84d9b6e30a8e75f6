"""The detector of each model file: the run's patches and threshold, as that very file sees them.

Rounding moves every feature a little, and adds to every distance. Compared with patches that were moved alike, and with good
pictures that were measured alike, a good part stays good.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from edgetl.errors import ExportError
from edgetl.exporter.calibration import images_of
from edgetl.exporter.models import ModelFile
from edgetl.runtime.anomaly import BankRecord, Detector, DetectorRecord
from edgetl.runtime.evaluation import Logits
from edgetl.trainer.judge import float_outputs
from edgetl.trainer.oneclass.bank import Bank, held_out_distance, seen_by
from edgetl.trainer.oneclass.features import Features
from edgetl.trainer.oneclass.threshold import threshold_of
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import FLOAT, Run, read_bank

BANKS = "detector"  # the folder of the members


def with_detectors(run: Run, data: Path, files: tuple[ModelFile, ...], reporter: Reporter) -> tuple[ModelFile, ...]:
    """The files of a one-class run with the detector of each; of another run as they are. Raises ExportError."""
    record = run.record.detector
    if record is None:
        return files
    bank = read_bank(run.folder)
    found = []
    for file in files:
        name = file.record.path
        features = _features(run, data, name, file.open().logits, record, reporter)
        found.append(msgspec.structs.replace(file, detector=_detector(features, bank, record, name)))
    return tuple(found)


def network_logits(run: Run, data: Path, reporter: Reporter) -> Logits:
    """The trained network's judgement, which files are compared with. That of a one-class run goes by a detector that is made as
    those of the files are: the run's own threshold has seen val, and theirs have not, which is no doing of the files."""
    outputs, record = float_outputs(run), run.record.detector
    if record is None:
        return outputs
    detector = _detector(_features(run, data, FLOAT, outputs, record, reporter), read_bank(run.folder), record, FLOAT)
    return lambda image: detector.logits(outputs(image))


def _features(run: Run, data: Path, name: str, outputs: Logits, record: DetectorRecord, reporter: Reporter) -> Features:
    """What a file or the network gives for the good pictures of train and of calibration. Not for val's, as the run's own threshold is
    set: the gate judges the file on val, and what set a threshold cannot say how it does."""
    good = run.record.rule.ok_labels
    rows = [i for i, s in enumerate(run.splits) if s.split in ("train", "calibration") and s.label in good]
    features = Features(rows, record.values)
    reporter.begin(f"good parts, {name}", len(rows))
    for done, row in enumerate(rows, start=1):
        (image,) = images_of([run.splits[row]], data, run.record.preprocessing)
        features[row] = outputs(image)
        reporter.advance(done)
    return features


def _detector(features: Features, bank: Bank, record: DetectorRecord, name: str) -> Detector:
    bank = seen_by(features, bank, record)
    distances = np.array([held_out_distance(values, picture, bank, record) for picture, values in features.items()])
    if not np.isfinite(distances).all():
        raise ExportError(f"{name}: gives features that are not finite; the converter's output cannot be shipped")
    threshold = threshold_of(distances, record.false_alarm)
    record = msgspec.structs.replace(record, held_out=threshold.pictures)
    return Detector(record, bank.entries, threshold.distance, threshold.spread)


def bank_members(files: list[ModelFile]) -> dict[str, bytes]:
    """The banks by their names in the bundle."""
    return {member_of(f): f.detector.bank.astype("<f4").tobytes() for f in files if f.detector is not None}


def member_of(file: ModelFile) -> str:
    """The name of a model's bank in the bundle."""
    return f"{BANKS}/{file.record.path.rpartition('/')[2]}.f32"


def detector_record(files: list[ModelFile]) -> DetectorRecord | None:
    """The record for the manifest: the run's, with each model's bank."""
    own = {f.record.path: (member_of(f), f.detector) for f in files if f.detector is not None}
    if not own:
        return None
    _, first = next(iter(own.values()))
    banks = {path: BankRecord(member, d.threshold, d.spread) for path, (member, d) in own.items()}
    return msgspec.structs.replace(first.record, banks=banks)
