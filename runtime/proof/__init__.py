"""Proof of int8: what a model file computes in, read from the file itself and not from its name."""

from edgetl.runtime.proof.proving import prove, read_proofs
from edgetl.runtime.proof.record import PROOF_NAME, Island, Port, Proof, Proofs
from edgetl.runtime.proof.rules import refusal

__all__ = ["PROOF_NAME", "Island", "Port", "Proof", "Proofs", "prove", "read_proofs", "refusal"]
