"""Proves the quantized models before they are measured, checks them for their target, and refuses what must not ship."""

from __future__ import annotations

from pathlib import Path

from edgetl.errors import ExportError, ModelError
from edgetl.exporter.targets import ANY_DEVICE, Fit, Target, fit, load_target
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.manifest import ModelRecord
from edgetl.runtime.proof import Proof, Proofs, prove, refusal


def prove_models(models: list[tuple[ModelRecord, Path]], rule: DecisionRule, size: int, features: int = 0) -> Proofs:
    """The proof of every quantized model file, for a model of size×size px that gives logits, or so many values of feature
    maps. Raises ExportError, expected against found."""
    quantized = [(record, file) for record, file in models if record.precision != "float32"]
    return Proofs(tuple(_prove(record, file, rule, size, features) for record, file in quantized))


def _prove(record: ModelRecord, file: Path, rule: DecisionRule, size: int, features: int) -> Proof:
    try:
        proof = prove(file.read_bytes(), record.format, record.path, record.precision)
    except ModelError as error:
        raise ExportError(f"the converter wrote a model that cannot be used: {error}") from error
    reason = refusal(proof, rule.labels, size, features)
    if reason is not None:
        raise ExportError(f"{record.path}: {reason}; the converter's output cannot be shipped")
    return proof


def fit_models(models: list[tuple[ModelRecord, Path]], proofs: Proofs, target: Target | None) -> list[Fit]:
    """How the quantized models of the target's format fit it. Raises ExportError where one cannot run there."""
    target = target or load_target(ANY_DEVICE)
    files = {record.path: file for record, file in models if record.format == target.engine.format}
    fits = [fit(files[p.model].read_bytes(), p, target) for p in proofs.models if p.model in files]
    for found in fits:
        if reason := found.refusal():
            raise ExportError(f"{found.model}: {reason}; it cannot be shipped for that target")
    return fits
