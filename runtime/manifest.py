"""The bundle's manifest: what is in it, what it was made from, and what it was measured to do."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec

from edgetl.errors import BundleFormatError, ModelError, UsageError
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.preprocess import Preprocessing

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
GOLDEN_NAME = "golden/golden.json"
REFERENCE_NAME = "reference.json"
SPLITS_NAME = "lineage/splits.json"
CARD_NAME = "card.md"

ModelFormat = Literal["tflite", "onnx"]
Precision = Literal["int8", "float32"]


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
    """Balanced accuracy of one model on one split, and how many of its decisions equal the float model's."""

    model: str
    split: str
    n: int
    balanced_accuracy: float
    low: float
    high: float
    same_decisions: float


class Lineage(msgspec.Struct, frozen=True):
    """Where the model came from: the run, its settings, and the SHA-256 of each calibration picture."""

    run: str
    backbone: str
    weights: str
    trained: str
    seed: int
    calibration: tuple[str, ...]


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
        if version > FORMAT_VERSION:
            raise BundleFormatError(
                f"{where}: bundle format {version} is newer than this edgetl reads ({FORMAT_VERSION}); update edgetl"
            )
        if version != FORMAT_VERSION:
            raise BundleFormatError(f"{where}: unknown bundle format {version}; export the run again")
        json.loads(data, object_pairs_hook=_distinct)
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, ValueError, RecursionError, ModelError, UsageError) as error:
        raise BundleFormatError(f"{where}: {MANIFEST_NAME} is not valid: {error}") from error
