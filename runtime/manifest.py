"""The bundle's manifest: what is in it, what it was made from, and what it was measured to do."""

from __future__ import annotations

import datetime
import json
from typing import Annotated, Any, Literal

import msgspec

from edgetl.errors import BundleFormatError, ModelError, UsageError
from edgetl.runtime.anomaly.record import ANOMALY, DetectorRecord
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.metrics import Auroc
from edgetl.runtime.preprocess import Preprocessing

FORMAT_VERSION = 1  # of a classifier
DETECTOR_VERSION = 2  # a model's output is no longer a logit a label: readers of version 1 must not try
MANIFEST_NAME = "manifest.json"
GOLDEN_NAME = "golden/golden.json"
REFERENCE_NAME = "reference.json"
SPLITS_NAME = "lineage/splits.json"
CARD_NAME = "card.md"
SIGNATURE_NAME = "signature"  # of manifest.json's bytes; itself not named there

ModelFormat = Literal["tflite", "onnx"]
# What a model computes in: `mixed` is int8 with some layers in float, `int16` has int16 activations and int8 weights.
Precision = Literal["int8", "mixed", "int16", "float16", "float32"]


class FileRecord(msgspec.Struct, frozen=True):
    """Size and SHA-256 (hex) of one file in the bundle."""

    bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
    sha256: str


class ModelRecord(msgspec.Struct, frozen=True):
    """One model file: its path in the bundle, its format and the precision it computes in."""

    path: str
    format: ModelFormat
    precision: Precision


class Measured(msgspec.Struct, frozen=True):
    """Balanced accuracy of one model on one split, how many of its decisions equal the float model's, and how well it tells
    good from bad, where its labels do."""

    model: str
    split: str
    n: int
    balanced_accuracy: float
    low: float
    high: float
    same_decisions: float
    auroc: Auroc | None = None


class Lineage(msgspec.Struct, frozen=True):
    """Where the model came from: the run, its settings, the SHA-256 of each calibration picture, and the rung of the
    quantization ladder."""

    run: str
    backbone: str
    weights: str
    trained: str
    seed: int
    calibration: tuple[str, ...]
    rung: str = "min-max"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a bundle a release, written when it is signed.

    `number` grows with every release: a device refuses a lower one. Empty tuples mean any device or processor
    (names as of `uname -m`). `min_edgetl`: the oldest runtime that can run it. `expires`: the last day (ISO, UTC).
    """

    number: Annotated[int, msgspec.Meta(ge=0, le=10**18)] = 0
    architectures: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    min_edgetl: str = ""
    expires: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None

    def __post_init__(self) -> None:
        if self.expires is not None:
            datetime.date.fromisoformat(self.expires)  # the pattern lets the 45th of a month pass


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Contract 3's first file. Optional fields that a later version adds are passed over when read."""

    format_version: int
    name: str
    created: str
    rule: DecisionRule
    preprocessing: Preprocessing
    models: tuple[ModelRecord, ...]
    measured: tuple[Measured, ...]
    lineage: Lineage
    tools: dict[str, str]
    files: dict[str, FileRecord]
    release: Release | None = None
    detector: DetectorRecord | None = None

    def __post_init__(self) -> None:
        if self.detector is not None and self.format_version < DETECTOR_VERSION:
            raise ModelError(f"a detector needs bundle format {DETECTOR_VERSION}")
        if self.detector is not None and self.rule.labels != (*self.rule.ok_labels, ANOMALY):
            raise ModelError(f"a detector's labels are the good one and {ANOMALY}")


class _Version(msgspec.Struct):
    format_version: int


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; a key that comes twice means different things to different readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Parses manifest.json; raises BundleFormatError for another version or a wrong shape."""
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
        if version > DETECTOR_VERSION:
            raise BundleFormatError(
                f"{where}: bundle format {version} is newer than this edgetl reads ({DETECTOR_VERSION}); update edgetl"
            )
        if version not in (FORMAT_VERSION, DETECTOR_VERSION):
            raise BundleFormatError(f"{where}: unknown bundle format {version}; export the run again")
        json.loads(data, object_pairs_hook=_distinct)
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, ValueError, RecursionError, ModelError, UsageError) as error:
        raise BundleFormatError(f"{where}: {MANIFEST_NAME} is not valid: {error}") from error
