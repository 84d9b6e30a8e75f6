"""The models that one rung gives: files in the work folder, and the interpreter that measures each here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.runtime.anomaly import Detector
from edgetl.runtime.interpreters import OpenedModel, open_interpreter
from edgetl.runtime.interpreters.base import Kernels
from edgetl.runtime.interpreters.scoring import ScoringInterpreter
from edgetl.runtime.manifest import ModelFormat, ModelRecord, Precision

LIBRARY_OF: dict[ModelFormat, str] = {"tflite": "litert", "onnx": "onnxruntime"}


class ModelFile(msgspec.Struct, frozen=True):
    """A model of the bundle, where its bytes lie, and what judges its feature maps if it gives such."""

    record: ModelRecord
    path: Path
    detector: Detector | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size

    def open(self, kernels: Kernels = "fast") -> OpenedModel:
        """The interpreter that judges it here. Raises ModelError."""
        library = LIBRARY_OF[self.record.format]
        opened = open_interpreter(library, self.path.read_bytes(), self.record.path, 1, kernels)
        return opened if self.detector is None else ScoringInterpreter(opened, self.detector)


def model_file(folder: Path, precision: Precision, format: ModelFormat) -> ModelFile:
    """The model of that precision and format in a folder, under its name in a bundle."""
    name = f"{precision}.{format}"
    return ModelFile(ModelRecord(f"model/{name}", format, precision), folder / name)
