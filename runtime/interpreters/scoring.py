"""Opens a bundle's model, and for a one-class bundle puts its detector behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ModelError
from edgetl.runtime.anomaly import Detector, read_bank
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.interpreters.base import Kernels, OpenedModel
from edgetl.runtime.interpreters.registry import open_interpreter
from edgetl.runtime.manifest import ModelRecord
from edgetl.runtime.preprocess import Image


class ScoringInterpreter:
    """An interpreter whose file gives feature maps; what it answers is the detector's."""

    def __init__(self, interpreter: OpenedModel, detector: Detector) -> None:
        self._interpreter = interpreter
        self.detector = detector
        self.info = interpreter.info
        self.size = interpreter.size

    def raw(self, image: Image) -> NDArray[np.generic]:
        """The feature maps as the file gives them."""
        return self._interpreter.raw(image)

    def features(self, image: Image) -> NDArray[np.float32]:
        """The feature maps in real numbers."""
        return self._interpreter.logits(image)

    def logits(self, image: Image) -> NDArray[np.float32]:
        """One logit for good and one for anomaly."""
        return self.detector.logits(self.features(image))

    def logits_of(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """One logit for good and one for anomaly, of feature maps as the file gave them."""
        return self.detector.logits(self._interpreter.logits_of(raw))

    def distances(self, image: Image) -> NDArray[np.float32]:
        """How far each place of the picture lies from good ones, height×width of the finest map."""
        return self.detector.distances(self.features(image))


def open_model(
    bundle: Bundle, record: ModelRecord, name: str, threads: int = 1, kernels: Kernels = "fast"
) -> OpenedModel:
    """The bundle's model in the named interpreter, with its detector if it has one. Raises ModelError."""
    interpreter = open_interpreter(name, bundle.read(record.path), record.path, threads, kernels)
    detector = detector_of(bundle, record.path)
    return interpreter if detector is None else ScoringInterpreter(interpreter, detector)


def detector_of(bundle: Bundle, model: str) -> Detector | None:
    """The detector that judges what a model of the bundle gives; None for a classifier. Raises ModelError."""
    record = bundle.manifest.detector
    if record is None:
        return None
    if model not in record.banks:
        raise ModelError(f"{bundle.path}: its detector has no bank for {model}; export the run again")
    bank = record.banks[model]
    entries = read_bank(bundle.read(bank.member), record, f"{bundle.path}: {bank.member}")
    return Detector(record, entries, bank.threshold, bank.spread)
