"""The record of a proof."""

from __future__ import annotations

import math

import msgspec

from edgetl.runtime.manifest import Precision

PROOF_NAME = "proof.json"
_IN: dict[Precision, str] = {
    "int8": "in int8",
    "mixed": "in int8",
    "int16": "in int16 with int8 weights",
    "float16": "in float with float16 weights",
    "float32": "in float",
}


class Port(msgspec.Struct, frozen=True):
    """A model's input or output: real = step × (stored − zero). Step 0 means that it is not quantized."""

    type: str
    shape: tuple[int, ...]
    step: float
    zero: int

    def shape_text(self) -> str:
        """`1×224×224×3`, with `?` for an open dimension."""
        return "×".join("?" if n < 0 else str(n) for n in self.shape) or "no dimensions"


class Island(msgspec.Struct, frozen=True):
    """An operator that computes in something other than its file's precision says: its kind, its name in the file, and the
    types."""

    operator: str
    name: str
    types: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What one model file says of itself.

    `operators` counts operators by kind, without ONNX's QuantizeLinear and DequantizeLinear, which only say in which
    numbers the others compute; `tensors` counts tensors by type (in ONNX: constants and quantized values).
    `islands` are the operators that do not compute in what `precision` says: for `int8` and `mixed` those not in int8.
    `softmax` is `outside` where the file ends in logits or feature maps, as ours do, so that probabilities sum to one in double
    precision; `inside` where the graph itself ends in one. `labels` are those packed into the file, if any are.
    """

    model: str
    operators: dict[str, int]
    tensors: dict[str, int]
    islands: tuple[Island, ...]
    input: Port
    output: Port
    softmax: str
    labels: tuple[str, ...] | None = None
    precision: Precision = "int8"  # of all that were proved before this was written down

    @property
    def fully_int8(self) -> bool:
        """Whether every operator computes in int8."""
        return self.precision == "int8" and not self.islands

    def numbers(self) -> str:
        """What its operators compute in, but for the islands, in words."""
        return _IN[self.precision]

    def words(self) -> str:
        """One line for a person."""
        total = sum(self.operators.values())
        computes = f"{len(self.islands)} of them not {self.numbers()}" if self.islands else f"all {self.numbers()}"
        step = f"one step is {self.input.step:g} pixel value" if self.input.step else "pixel values as they are"
        return (
            f"{total} operators, {computes}; input {self.input.type} {self.input.shape_text()}, {step}; {self._end()}"
        )

    def _end(self) -> str:
        values = f"ends in {math.prod(map(abs, self.output.shape))} values"
        return f"{values} of a softmax" if self.softmax == "inside" else f"{values}, which are no softmax's"


class Proofs(msgspec.Struct, frozen=True):
    """proof.json: the proof of each quantized model of a bundle."""

    models: tuple[Proof, ...]
