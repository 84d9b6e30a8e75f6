"""One net's layers in torch's graph and in ONNX's, from which TFLite's is made.

Each has them under names of its own, in an order in which they can run. Where branches part, an exporter may take another one
first; so a layer is matched by its place among those with as many weights.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec
import onnx
from torch.fx import GraphModule, Node

from edgetl.errors import ExportError
from edgetl.exporter.simulation.graph import layers_of, weight_of

_KINDS = {"Conv", "Gemm", "MatMul"}


class Layer(msgspec.Struct, frozen=True):
    """A convolution or linear layer in one graph: the name that its converter knows it by, the operator, and how many weights it
    has."""

    name: str
    operator: str
    weights: int


def torch_layers(graph: GraphModule) -> list[Layer]:
    """The layers of a network as torch's graph, under the names of its modules."""
    return [
        Layer(_module_of(node), str(node.target).split(".")[1], weight_of(graph, node).numel())
        for node in layers_of(graph)
    ]


def _module_of(node: Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    path: str = next((path for path, _ in reversed(stack.values()) if path), node.name)
    return path.removeprefix("net.")


def onnx_layers(model: Path) -> list[Layer]:
    """The layers of an ONNX graph, under the names of its nodes; products of two activations are none."""
    graph = onnx.load(str(model)).graph
    weights = {c.name: math.prod(c.dims) for c in graph.initializer}
    return [
        Layer(n.name, n.op_type, weights[n.input[1]])
        for n in graph.node
        if n.op_type in _KINDS and n.input[1] in weights
    ]


def matched(own: list[Layer], theirs: list[Layer]) -> list[Layer]:
    """The layers of another graph in the order of torch's. Raises ExportError, with the first layer that has no counterpart."""
    left = _by_weights(theirs)
    found = []
    for layer in own:
        if not left[layer.weights]:
            raise _no_match(layer, "the network", "ONNX")
        found.append(left[layer.weights].pop(0))
    for layer in (one for rest in left.values() for one in rest):
        raise _no_match(layer, "ONNX", "the network")
    return found


def _by_weights(layers: Iterable[Layer]) -> defaultdict[int, list[Layer]]:
    found: defaultdict[int, list[Layer]] = defaultdict(list)
    for layer in layers:
        found[layer.weights].append(layer)
    return found


def _no_match(layer: Layer, where: str, missing: str) -> ExportError:
    return ExportError(
        f"the layers cannot be told apart: {layer.operator} {layer.name} with {layer.weights} weights in {where} has no "
        f"counterpart in {missing}"
    )
