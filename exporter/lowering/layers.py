"""Linear layers, products of activations, and what norms a vector."""

from __future__ import annotations

import numpy as np

from edgetl.exporter.lowering.axes import plain
from edgetl.exporter.lowering.builder import Builder, Options, no_form
from edgetl.exporter.lowering.onnx_graph import Node
from edgetl.exporter.lowering.registry import lowers

_LINEAR: Options = {"fusedActivationFunction": "NONE", "weightsFormat": "DEFAULT", "asymmetricQuantizeInputs": False}


@lowers("Gemm")
def gemm(builder: Builder, node: Node) -> None:
    """A linear layer of one row."""
    said = node.attributes
    if said.get("transA"):
        raise no_form(node, "its input is turned")
    weights = builder.constant(node, 1) * np.float32(said.get("alpha", 1.0))
    weights = weights if said.get("transB") else weights.T
    bias = builder.constant(node, 2, np.float32(0)) * np.float32(said.get("beta", 1.0))
    filters = builder.graph.constant(node.inputs[1], weights)
    biases = builder.graph.constant(f"{node.inputs[1]}/bias", np.broadcast_to(bias.reshape(-1), len(weights)))
    given = builder.plain(node, node.inputs[0])
    builder.give(node, "FULLY_CONNECTED", [given, filters, biases], plain(2), {"keepNumDims": False, **_LINEAR})


@lowers("MatMul")
def product(builder: Builder, node: Node) -> None:
    """A linear layer of many rows, or a product of two activations."""
    rank, given = len(builder.shape(node, node.outputs[0])), builder.plain(node, node.inputs[0])
    if builder.is_constant(node.inputs[1]) and builder.constant(node, 1).ndim == 2:
        filters = builder.graph.constant(node.inputs[1], builder.constant(node, 1).T)
        inputs = [given, filters, ""]
        builder.give(node, "FULLY_CONNECTED", inputs, plain(rank), {"keepNumDims": rank != 2, **_LINEAR})
        return
    other = builder.plain(node, node.inputs[1])
    options = {"adjX": False, "adjY": False, "asymmetricQuantizeInputs": False}
    builder.give(node, "BATCH_MATMUL", [given, other], plain(rank), options)


@lowers("Softmax")
def softmax(builder: Builder, node: Node) -> None:
    """Shares of one along an axis, which must be stored last."""
    order = builder.order(node.inputs[0])
    axis = node.attributes.get("axis", -1) % len(order)
    last = (*(other for other in order if other != axis), axis)
    builder.give(node, "SOFTMAX", [builder.stored(node, node.inputs[0], last)], last, {"beta": 1.0})


@lowers("LayerNormalization")
def layer_norm(builder: Builder, node: Node) -> None:
    """Written out: TFLite has no such operator. The squares are a product, which has fast kernels in int8."""
    given, shape = node.inputs[0], builder.shape(node, node.inputs[0])
    if node.attributes.get("axis", -1) % len(shape) != len(shape) - 1:
        raise no_form(node, "over other axes than the last")
    order, values = builder.order(given), builder.stored(node, given)
    along = order.index(len(shape) - 1)
    whole = builder.graph.tensors[values].shape
    one = (*whole[:along], 1, *whole[along + 1 :])
    factor, shift = (builder.constant(node, p, d).reshape(-1) for p, d in ((1, np.float32(1)), (2, np.float32(0))))
    spread = [-1 if axis == along else 1 for axis in range(len(whole))]
    axes = builder.numbers([along])
    plainly: Options = {"fusedActivationFunction": "NONE"}
    mean = builder.inner(node, "MEAN", [values, axes], one, {"keepDims": True})
    apart = builder.inner(node, "SUB", [values, mean], whole, plainly)
    squares = builder.inner(node, "MUL", [apart, apart], whole, plainly)
    variance = builder.inner(node, "MEAN", [squares, axes], one, {"keepDims": True})
    least = builder.real(node.attributes.get("epsilon", 1e-5))
    lifted = builder.inner(node, "ADD", [variance, least], one, plainly)
    inverse = builder.inner(node, "RSQRT", [lifted], one)
    normed = builder.inner(node, "MUL", [apart, inverse], whole, plainly)
    scaled = builder.inner(
        node, "MUL", [normed, builder.graph.constant(node.inputs[1], factor.reshape(spread))], whole, plainly
    )
    builder.give(node, "ADD", [scaled, builder.graph.constant("shift", shift.reshape(spread))], order, plainly)


@lowers("BatchNormalization")
def batch_norm(builder: Builder, node: Node) -> None:
    """One that no convolution took up: a factor and a shift for each channel."""
    scale, shift, mean, variance = (builder.constant(node, position) for position in (1, 2, 3, 4))
    factor = (scale / np.sqrt(variance + np.float32(node.attributes.get("epsilon", 1e-5)))).astype(np.float32)
    given, order = node.inputs[0], builder.order(node.inputs[0])
    values = builder.stored(node, given)
    spread = [-1 if axis == 1 else 1 for axis in order]
    plainly: Options = {"fusedActivationFunction": "NONE"}
    whole = builder.graph.tensors[values].shape
    factors = builder.graph.constant(node.inputs[1], factor.reshape(spread))
    shifts = builder.graph.constant(node.inputs[2], (shift - mean * factor).astype(np.float32).reshape(spread))
    scaled = builder.inner(node, "MUL", [values, factors], whole, plainly)
    builder.give(node, "ADD", [scaled, shifts], order, plainly)
