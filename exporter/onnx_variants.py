"""Other ways to write the same int8 ONNX model: signed activations, and the symmetric form that TensorRT takes.

Both are rewritten from the graph with unsigned activations, so that one calibration serves all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_SUMS = (*_WEIGHTED, "Add", "Sub", "Mul")  # whose results may be below zero
Array = NDArray[Any]


def signed(model: bytes) -> bytes:
    """Activations as int8: each zero point and stored value moves by 128, so that every real value stays the same."""
    graph = _Rewriting(model)
    for node in graph.activations():
        zero = graph.constant(node.input[2])
        graph.replace_input(node, 2, (zero.astype(np.int16) - 128).astype(np.int8), "signed")
    graph.shift_constants()
    return graph.finished()


def symmetric(model: bytes) -> bytes:
    """Activations as int8 around zero, biases as floats, and the pixels' mean subtracted in floats.

    A range from −a to b becomes ±max(a, b): an activation after ReLU keeps half of its steps. That is TensorRT's
    rule, and the price is measured like everything else.
    """
    graph = _Rewriting(model)
    graph.widen_pixels()
    graph.write_out_clips()
    for node in graph.activations():
        scale, zero = float(graph.constant(node.input[1])), int(graph.constant(node.input[2]))
        reach = max(zero, 255 - zero) * scale
        graph.replace_input(node, 1, np.float32(reach / 127), "symmetric")
        graph.replace_input(node, 2, np.int8(0), "symmetric")
    graph.widen_constants()
    return graph.finished()


class _Rewriting:
    """A quantized graph being rewritten in place."""

    def __init__(self, model: bytes) -> None:
        self._model = onnx.load_model_from_string(model)
        self._graph: Any = self._model.graph
        self._constants = {c.name: c for c in self._graph.initializer}
        self._pixels = self._graph.input[0].name

    def constant(self, name: str) -> Array:
        """The value of a constant."""
        value: Array = numpy_helper.to_array(self._constants[name])
        return value

    def activations(self) -> list[Any]:
        """The Q and DQ nodes of uint8 activations, but for the one that reads the pixels."""
        return [
            node for node in self._graph.node
            if node.op_type in (_Q, _DQ) and node.input[0] not in self._constants
            and node.input[0] != self._turned() and self.constant(node.input[2]).dtype == np.uint8
        ]  # fmt: skip

    def replace_input(self, node: Any, position: int, value: Array | np.generic, suffix: str) -> None:
        """Gives a node another constant, shared by all that had the same one before."""
        name = f"{node.input[position]}_{suffix}"
        self._add(name, np.asarray(value))
        node.input[position] = name

    def _add(self, name: str, value: Array) -> None:
        if name not in self._constants:
            tensor = numpy_helper.from_array(value, name)
            self._graph.initializer.append(tensor)
            self._constants[name] = self._graph.initializer[-1]

    def _turned(self) -> str:
        """The name of the pixels after they were turned to channels first."""
        name: str = self._first().output[0]
        return name

    def _first(self) -> Any:
        return next(node for node in self._graph.node if self._pixels in node.input)

    def _reader(self) -> Any:
        return next(n for n in self._graph.node if n.op_type == _DQ and n.input[0] == self._turned())

    def shift_constants(self) -> None:
        """Constants stored as uint8 become int8."""
        for node in self._graph.node:
            if (
                node.op_type == _DQ
                and node.input[0] in self._constants
                and self.constant(node.input[0]).dtype == np.uint8
            ):
                for position in (0, 2):
                    value = self.constant(node.input[position]).astype(np.int16) - 128
                    self.replace_input(node, position, value.astype(np.int8), "signed")

    def widen_pixels(self) -> None:
        """Pixels become floats by a Cast instead of a DequantizeLinear of step 1, which TensorRT does not know."""
        first, reader = self._first(), self._reader()
        cast = helper.make_node("Cast", [self._pixels], ["pixels_float"], name="pixels_to_float", to=TensorProto.FLOAT)
        nodes = list(self._graph.node)
        first.input[0], first.output[0] = "pixels_float", reader.output[0]
        nodes.remove(reader)
        nodes.insert(nodes.index(first), cast)
        self._set_nodes(nodes)

    def write_out_clips(self) -> None:
        """Puts a Relu where the quantization had stood for one: a zero point of 0 cuts off what is below zero."""
        made_by = {name: node for node in self._graph.node for name in node.output}
        nodes = []
        for node in self._graph.node:
            maker = made_by.get(node.input[0])
            if (
                node.op_type == _Q
                and maker is not None
                and maker.op_type in _SUMS
                and not self.constant(node.input[2]).any()
            ):
                clipped = f"{node.input[0]}_clipped"
                nodes.append(helper.make_node("Relu", [node.input[0]], [clipped], name=clipped))
                node.input[0] = clipped
            nodes.append(node)
        self._set_nodes(nodes)

    def widen_constants(self) -> None:
        """Biases, and constants that are added rather than multiplied with, become plain floats."""
        keep = []
        for node in self._graph.node:
            if node.op_type == _DQ and node.input[0] in self._constants and not self._is_weight(node):
                stored, scale, zero = (self.constant(name) for name in node.input)
                real = (stored.astype(np.float64) - zero.astype(np.float64)) * scale.astype(np.float64)
                self._add(node.output[0], real.astype(np.float32))
            else:
                keep.append(node)
        self._set_nodes(keep)

    def _is_weight(self, node: Any) -> bool:
        return any(user.op_type in _WEIGHTED and node.output[0] in list(user.input)[:2] for user in self._graph.node)

    def _set_nodes(self, nodes: list[Any]) -> None:
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self._graph.node[:]
        self._graph.node.extend(copies)

    def finished(self) -> bytes:
        """The model's bytes, without the constants that nothing uses any more."""
        used = {name for node in self._graph.node for name in node.input}
        kept = [c for c in self._graph.initializer if c.name in used]
        copies = [TensorProto.FromString(c.SerializeToString()) for c in kept]
        del self._graph.initializer[:]
        self._graph.initializer.extend(copies)
        del self._graph.value_info[:]
        onnx.checker.check_model(self._model)
        data: bytes = self._model.SerializeToString(deterministic=True)
        return data
