"""Proves a model file of either format, and reads the proofs that a bundle carries."""

from __future__ import annotations

import msgspec

from edgetl.errors import BundleFormatError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.manifest import ModelFormat, Precision
from edgetl.runtime.proof.of_onnx import prove_onnx
from edgetl.runtime.proof.of_tflite import prove_tflite
from edgetl.runtime.proof.record import PROOF_NAME, Proof, Proofs

_READERS = {"tflite": prove_tflite, "onnx": prove_onnx}


def prove(model: bytes, format: ModelFormat, where: str, precision: Precision = "int8") -> Proof:
    """Reads the proof from the bytes of a model file that is said to compute in `precision`; `where` is its path in the
    bundle. Raises ModelError."""
    return _READERS[format](model, where, precision)


def read_proofs(bundle: Bundle) -> Proofs | None:
    """The proofs that the bundle carries; None for one of an edgetl that wrote none. Raises BundleFormatError."""
    if PROOF_NAME not in bundle.manifest.files:
        return None
    try:
        return msgspec.json.decode(bundle.read(PROOF_NAME), type=Proofs)
    except msgspec.DecodeError as error:
        raise BundleFormatError(f"{bundle.path}: {PROOF_NAME} is not valid: {error}") from error
