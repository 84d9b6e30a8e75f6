"""What is computed for each value by itself, or for pairs of values."""

from __future__ import annotations

import numpy as np

from edgetl.exporter.lowering.axes import Order, plain
from edgetl.exporter.lowering.builder import Builder, no_form
from edgetl.exporter.lowering.graph import CLIPS
from edgetl.exporter.lowering.onnx_graph import Node
from edgetl.exporter.lowering.registry import lowers

_UNARY = {
    "Relu": "RELU", "Sigmoid": "LOGISTIC", "Tanh": "TANH", "Exp": "EXP", "Abs": "ABS", "Sqrt": "SQRT",
    "HardSwish": "HARD_SWISH", "Elu": "ELU", "Floor": "FLOOR", "Sin": "SIN", "Cos": "COS", "Log": "LOG",
}  # fmt: skip
_BINARY = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV", "Max": "MAXIMUM", "Min": "MINIMUM", "Pow": "POW"}
_FUSING = {"ADD", "SUB", "MUL", "DIV"}  # they can clip their results
# TFLite's operators that clip, by their ends.
_CLIP_OF = {ends: kind for kind, ends in CLIPS.items()}
_SIXTH = 1 / 6


@lowers(*_UNARY)
def unary(builder: Builder, node: Node) -> None:
    """One value from one."""
    if node.kind == "Elu" and node.attributes.get("alpha", 1.0) != 1.0:
        raise no_form(node, "alpha is not 1")
    given = node.inputs[0]
    builder.give(node, _UNARY[node.kind], [builder.stored(node, given)], builder.order(given))


@lowers("Neg")
def negation(builder: Builder, node: Node) -> None:
    """The other sign: by a product, which has an int8 form."""
    given = node.inputs[0]
    inputs = [builder.stored(node, given), builder.real(-1.0)]
    builder.give(node, "MUL", inputs, builder.order(given), {"fusedActivationFunction": "NONE"})


@lowers("LeakyRelu")
def leaky(builder: Builder, node: Node) -> None:
    """Negative values made smaller by one factor."""
    given = node.inputs[0]
    options = {"alpha": node.attributes.get("alpha", 0.01)}
    builder.give(node, "LEAKY_RELU", [builder.stored(node, given)], builder.order(given), options)


@lowers("Gelu")
def gelu(builder: Builder, node: Node) -> None:
    """A GELU, exact or by tanh."""
    given = node.inputs[0]
    options = {"approximate": node.attributes.get("approximate", b"none") == b"tanh"}
    builder.give(node, "GELU", [builder.stored(node, given)], builder.order(given), options)


@lowers("Clip")
def clip(builder: Builder, node: Node) -> None:
    """Values cut off at both ends."""
    low, high = (float(builder.constant(node, position, end)) for position, end in ((1, -np.inf), (2, np.inf)))
    given, order = builder.stored(node, node.inputs[0]), builder.order(node.inputs[0])
    if (low, high) in _CLIP_OF:
        builder.give(node, _CLIP_OF[low, high], [given], order)
        return
    lifted = builder.inner(node, "MAXIMUM", [given, builder.real(low)], builder.graph.tensors[given].shape)
    builder.give(node, "MINIMUM", [lifted, builder.real(high)], order)


@lowers("HardSigmoid")
def hard_sigmoid(builder: Builder, node: Node) -> None:
    """A straight line from 0 to 1: as a ReLU6 of a sixth of its height, which fast kernels have in int8 as well."""
    slope, offset = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    given, order = builder.stored(node, node.inputs[0]), builder.order(node.inputs[0])
    shape = builder.graph.tensors[given].shape
    if not np.isclose(6 * slope, 1.0):
        given = builder.inner(node, "MUL", [given, builder.real(6 * slope)], shape, {"fusedActivationFunction": "NONE"})
    lifted = builder.inner(node, "ADD", [given, builder.real(6 * offset)], shape, {"fusedActivationFunction": "RELU6"})
    builder.give(node, "MUL", [lifted, builder.real(_SIXTH)], order, {"fusedActivationFunction": "NONE"})


@lowers("PRelu")
def prelu(builder: Builder, node: Node) -> None:
    """Negative values made smaller by a factor of their channel."""
    order = builder.order(node.inputs[0])
    builder.give(node, "PRELU", [builder.stored(node, node.inputs[0]), _beside(builder, node, 1, order)], order)


@lowers(*_BINARY)
def binary(builder: Builder, node: Node) -> None:
    """One value from two, of which one may be repeated along some axes."""
    if len(node.inputs) != 2:
        raise no_form(node, f"of {len(node.inputs)} values")
    if (gated := _gated_by_itself(builder, node)) is not None:
        builder.give(node, "HARD_SWISH", [builder.stored(node, gated)], builder.order(gated))
        return
    order = _common_order(builder, node)
    kind, inputs = _BINARY[node.kind], [_beside(builder, node, position, order) for position in (0, 1)]
    if kind == "DIV" and builder.is_constant(node.inputs[1]):  # which has no int8 form
        kind = "MUL"
        divisor = builder.graph.tensors[inputs[1]].data
        assert divisor is not None
        inputs[1] = builder.graph.constant(node.inputs[1], (1 / divisor).astype(np.float32))
    if kind == "POW" and np.array_equal(builder.constant(node, 1), np.float32(2)):
        kind, inputs = "MUL", [inputs[0], inputs[0]]
    options = {"fusedActivationFunction": "NONE"} if kind in _FUSING else {}
    builder.give(node, kind, inputs, order, options)


def _gated_by_itself(builder: Builder, node: Node) -> str | None:
    """What a hard sigmoid of itself multiplies: together they are one operator."""
    if node.kind == "Mul":
        for value, gate in (node.inputs, node.inputs[::-1]):
            maker = builder.makers.get(gate)
            if maker is not None and maker.kind == "HardSigmoid" and maker.inputs[0] == value:
                line = maker.attributes.get("alpha", 0.2), maker.attributes.get("beta", 0.5)
                return value if np.allclose(line, (_SIXTH, 0.5)) else None
    return None


def _common_order(builder: Builder, node: Node) -> Order:
    """That of the first operand that has all axes and is no constant; where one of fewer axes is none either, ONNX's own."""
    rank = len(builder.shape(node, node.outputs[0]))
    moving = [name for name in node.inputs if not builder.is_constant(name)]
    whole = [name for name in moving if len(builder.shape(node, name)) == rank]
    return builder.order(whole[0]) if whole and len(whole) == len(moving) else plain(rank)


def _beside(builder: Builder, node: Node, position: int, order: Order) -> str:
    """An operand with its axes in an order; a constant of fewer axes gets those that it lacks."""
    name = node.inputs[position]
    if not builder.is_constant(name):
        return (
            builder.stored(node, name, order) if len(builder.order(name)) == len(order) else builder.plain(node, name)
        )
    values = builder.constant(node, position)
    if values.size == 1:
        return builder.graph.constant(name, values.reshape(()))
    if order != plain(len(order)):
        values = values.reshape((1,) * (len(order) - values.ndim) + values.shape).transpose(order)
    return builder.graph.constant(name, values)
