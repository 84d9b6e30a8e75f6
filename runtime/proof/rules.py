"""What a proof must say for a model to be shipped, and to be loaded as what it is said to be."""

from __future__ import annotations

from edgetl.runtime.proof.record import Port, Proof

# One step of the input is one pixel value: 0 is black in uint8 and −128 in int8.
_BLACK = {"uint8": 0, "int8": -128}
# Where pixels go in as they are: an int16 step is no whole pixel value.
_FLOAT_INPUT = ("int16", "float16", "float32")
# A layer with weights, in TFLite and in ONNX: where the time goes, and what a precision is claimed for.
LAYERS = {
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
}
# The scale of a softmax inside an int8 graph is fixed, so that all probabilities fit (TFLite's quantization spec).
_SOFTMAX_STEP = 1 / 256


def refusal(proof: Proof, labels: tuple[str, ...], size: int, features: int = 0) -> str | None:
    """Why this file must not ship for these labels at size×size px, expected against found; None if it may. `features`:
    how many values of feature maps it must give in place of a logit a label."""
    return (
        _input_refusal(proof, size)
        or _output_refusal(
            proof.output, features or len(labels), "of feature maps" if features else "one logit a label"
        )
        or _label_refusal(proof.labels, labels)
        or _softmax_refusal(proof)
        or (None if proof.operators else "the graph is empty")
        or _precision_refusal(proof)
    )


def _precision_refusal(proof: Proof) -> str | None:
    """Operators beside the layers may be islands and are named; a layer that is one makes another precision of the file."""
    layers = [island for island in proof.islands if island.operator in LAYERS]
    if proof.precision != "mixed":
        if layers:
            first = f"{layers[0].operator} {layers[0].name} ({layers[0].types})"
            return f"{len(layers)} layers do not compute {proof.numbers()}, first {first}"
        return None
    if not layers:
        return "no layer stayed in float, though the file is said to be mixed"
    if len(layers) == sum(count for kind, count in proof.operators.items() if kind in LAYERS):
        return "no layer computes in int8, though the file is said to be mixed"
    return None


def _input_refusal(proof: Proof, size: int) -> str | None:
    port = proof.input
    if port.shape != (1, size, size, 3):
        return f"the input must be 1×{size}×{size}×3, got {port.shape_text()}"
    if proof.precision in _FLOAT_INPUT:
        if port.type != "float32" or port.step:
            return f"the input must be pixel values in float32, got {port.type}"
        return None
    if port.type not in _BLACK:
        return f"the input must be uint8 or int8 pixels, got {port.type}"
    if abs(port.step - 1.0) > 1e-6 or port.zero != _BLACK[port.type]:
        return (
            f"a step of the input must be exactly one pixel value (scale 1, zero point {_BLACK[port.type]}), "
            f"got scale {port.step:g}, zero point {port.zero}"
        )
    return None


def _output_refusal(port: Port, values: int, what: str) -> str | None:
    if port.shape != (1, values):
        return f"the output must be 1×{values}, {what}, got {port.shape_text()}"
    if port.type == "int8" and not port.step > 0:
        return "the output is int8 without a scale"
    return None


def _label_refusal(packed: tuple[str, ...] | None, labels: tuple[str, ...]) -> str | None:
    if packed is None or packed == labels:
        return None
    return f"the labels packed into the file are {', '.join(packed)}, expected {', '.join(labels)}"


def _softmax_refusal(proof: Proof) -> str | None:
    if proof.softmax == "inside" and abs(proof.output.step - _SOFTMAX_STEP) > 1e-9:
        return f"probabilities in steps of {proof.output.step:g} do not sum to one; TFLite's softmax has steps of 1/256"
    return None
