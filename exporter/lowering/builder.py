"""Builds a TFLite graph from ONNX nodes, one after the other."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from edgetl.errors import OperatorError
from edgetl.exporter.lowering.axes import CHANNELS_LAST, Order, is_moved, plain, stored
from edgetl.exporter.lowering.graph import Array, Graph, Operator, Shape, Tensor
from edgetl.exporter.lowering.onnx_graph import Node, OnnxGraph


def no_form(node: Node, why: str = "") -> OperatorError:
    """The error that says that a node cannot be lowered."""
    return OperatorError.of(node.kind, node.name, why)


Options = dict[str, Any]


class Value(msgspec.Struct, frozen=True):
    """Where an ONNX tensor is in the TFLite graph: its stored axis k is ONNX's axis `order[k]`."""

    tensor: str
    order: Order


class Builder:
    """The graph so far, and where each ONNX tensor is in it."""

    def __init__(self, source: OnnxGraph) -> None:
        self.source = source
        self.makers = {name: node for node in source.nodes for name in node.outputs}
        self._values: dict[str, Value] = {}
        self._moved: dict[tuple[str, Order], str] = {}
        self.graph = Graph({}, [], (), ())
        (pixels,) = source.inputs
        shape = stored(source.shapes[pixels], CHANNELS_LAST)
        self.graph.inputs = (self.graph.add(pixels, Tensor(shape)),)
        self._values[pixels] = Value(self.graph.inputs[0], CHANNELS_LAST)

    def is_constant(self, name: str) -> bool:
        """Whether an ONNX tensor is known before any picture is."""
        return name in self.source.constants

    def constant(self, node: Node, position: int, default: Any = None) -> Array:
        """The constant that a node has as one of its inputs; `default` where that is left out. Raises OperatorError."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        if not name and default is not None:
            return np.asarray(default)
        if name not in self.source.constants:
            raise no_form(node, f"input {position} is no constant")
        return self.source.constants[name]

    def shape(self, node: Node, name: str) -> Shape:
        """An ONNX tensor's shape. Raises OperatorError where it is not fixed."""
        if name in self.source.constants:
            return tuple(self.source.constants[name].shape)
        shape = self.source.shapes.get(name, (-1,))
        if -1 in shape or 0 in shape:
            raise no_form(node, "its shape is not fixed")
        return shape

    def order(self, name: str) -> Order:
        """How an ONNX tensor's axes are stored."""
        if self.is_constant(name):
            return plain(self.source.constants[name].ndim)
        return self._values[name].order

    def stored(self, node: Node, name: str, order: Order | None = None) -> str:
        """The tensor of an ONNX tensor with its axes in an order, moved if need be; by itself as it is stored."""
        order = self.order(name) if order is None else order
        if self.is_constant(name):
            return self.graph.constant(name, np.transpose(self.source.constants[name], order))
        value, shape = self._values[name], self.shape(node, name)
        if value.order == order:
            return value.tensor
        if (name, order) not in self._moved:
            self._moved[name, order] = self._move(node, value, shape, order)
        return self._moved[name, order]

    def _move(self, node: Node, value: Value, shape: Shape, order: Order) -> str:
        wanted = stored(shape, order)
        if not is_moved(shape, value.order, order):
            return self.inner(node, "RESHAPE", [value.tensor, self.numbers(wanted)], wanted)
        turn = [value.order.index(axis) for axis in order]
        return self.inner(node, "TRANSPOSE", [value.tensor, self.numbers(turn)], wanted)

    def plain(self, node: Node, name: str) -> str:
        """The tensor with its axes in ONNX's order."""
        return self.stored(node, name, plain(len(self.shape(node, name))))

    def numbers(self, values: Any) -> str:
        """A constant of whole numbers: a shape, axes, places."""
        return self.graph.constant("numbers", np.asarray(values, np.int32))

    def real(self, value: float) -> str:
        """A constant of one real number."""
        return self.graph.constant("number", np.asarray(value, np.float32))

    def inner(
        self, node: Node, kind: str, inputs: list[str], shape: Shape, options: Options | None = None
    ) -> str:  # fmt: skip
        """An operator whose result ONNX does not know. Returns that."""
        made = self.graph.add(f"{node.outputs[0]}/{kind.lower()}", Tensor(shape))
        self.graph.operators.append(Operator(kind, tuple(inputs), (made,), options or {}, node.name))
        return made

    def give(
        self, node: Node, kind: str, inputs: list[str], order: Order, options: Options | None = None, output: int = 0
    ) -> None:  # fmt: skip
        """The operator that makes one of a node's outputs, its axes stored in an order."""
        name = node.outputs[output]
        made = self.graph.add(name, Tensor(stored(self.shape(node, name), order)))
        self.graph.operators.append(Operator(kind, tuple(inputs), (made,), options or {}, node.name))
        self._values[name] = Value(made, order)

    def pass_on(self, node: Node, order: Order) -> None:
        """The node's output is its first input, whose stored axes mean what `order` says."""
        given = self._values[node.inputs[0]]
        self._values[node.outputs[0]] = Value(given.tensor, order)

    def finished(self) -> Graph:
        """The graph, with the outputs in ONNX's order."""
        last = Node("Output", "", (), ("output",), {})
        self.graph.outputs = tuple(self.plain(last, name) for name in self.source.outputs)
        return self.graph
