"""A float ONNX graph, its batch norms folded, as plain records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import onnx
from onnx import numpy_helper

from edgetl.exporter.lowering.graph import Array, Shape


class Node(msgspec.Struct, frozen=True):
    """One ONNX operator; an input that is left out is ""."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class OnnxGraph(msgspec.Struct, frozen=True):
    """Nodes in the order in which they run, constants, and the shape of every other tensor (−1 where it is open)."""

    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    shapes: dict[str, Shape]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_onnx(path: Path) -> OnnxGraph:
    """Reads a graph whose shapes were inferred."""
    graph = onnx.load(str(path)).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
        else:
            nodes.append(Node(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes))
    return OnnxGraph(
        tuple(nodes), constants, {v.name: _shape(v) for v in (*graph.input, *graph.value_info, *graph.output)},
        tuple(i.name for i in graph.input if i.name not in constants), tuple(o.name for o in graph.output),
    )  # fmt: skip


def _shape(value: Any) -> Shape:
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim)
