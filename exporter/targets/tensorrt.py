"""The rules by which TensorRT takes an ONNX graph as explicit quantization, checked by reading the graph.

TensorRT itself runs only where its GPU is; that a graph keeps its rules can be told anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edgetl.runtime.graphs import OnnxGraph, OnnxNode

QDQ = ("QuantizeLinear", "DequantizeLinear")
# Where the output channels of the weights lie: the only axis along which TensorRT takes weights' scales.
_CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1}
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def broken_rules(graph: OnnxGraph, in_float: Collection[str] = ()) -> Iterator[str]:
    """One line for each rule that does not hold, with the node that breaks it. `in_float`: nodes that are to stay in floats.
    A graph that quantizes nothing has no rule to break: it runs in 16 or 32 bits."""
    if not any(node.kind in QDQ for node in graph.nodes):
        return
    users: dict[str, list[OnnxNode]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            users.setdefault(name, []).append(node)
    made_by = {name: node for node in graph.nodes for name in node.outputs}
    for node in graph.nodes:
        if node.kind in QDQ:
            yield from _broken_pair(graph, node, users.get(node.outputs[0], []))
        elif node.kind in _WEIGHTED and (node.name or node.outputs[0]) not in in_float:
            yield from _broken_sum(node, made_by)


def _broken_pair(graph: OnnxGraph, node: OnnxNode, users: list[OnnxNode]) -> Iterator[str]:
    constant = node.inputs[0] in graph.constants
    stored = graph.constants.get(node.inputs[0] if constant else (*node.inputs, "", "")[2])
    kind = stored.type if stored is not None else "uint8"  # what ONNX takes where the zero point is left out
    if kind != "int8":
        what = "a bias must stay a float" if kind == "int32" else "TensorRT takes int8 only"
        yield f"{node.kind} {node.name} is of {kind}: {what}"
    elif any(graph.values.get((*node.inputs, "", "")[2], ())):
        yield f"{node.kind} {node.name} has a zero point other than 0: TensorRT takes symmetric quantization only"
    scales = graph.values.get(node.inputs[1], ())
    if not scales or any(not 0 < scale < float("inf") for scale in scales):
        yield f"{node.kind} {node.name} has no constant scale above 0"
    if len(scales) > 1:
        yield from _broken_channels(node, constant, users)


def _broken_channels(node: OnnxNode, constant: bool, users: list[OnnxNode]) -> Iterator[str]:
    if not constant:
        yield f"{node.kind} {node.name} has a scale for each channel of an activation: TensorRT takes one"
    for user in users:
        axis = _CHANNEL_AXIS.get(user.kind, 0 if user.integers.get("transB") else 1)
        if node.integers.get("axis", 1) != axis:
            yield f"{node.kind} {node.name} has its scales along axis {node.integers.get('axis', 1)}, expected {axis}"


def _broken_sum(node: OnnxNode, made_by: dict[str, OnnxNode]) -> Iterator[str]:
    for name in node.inputs[:2]:
        maker = made_by.get(name)
        if maker is None or maker.kind != "DequantizeLinear":
            yield f"{node.kind} {node.name} takes {name} without a DequantizeLinear before it, so it would not run in int8"
