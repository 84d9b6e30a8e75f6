"""Quantizes a float graph, whose activations' ranges are known, operator by operator."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec
import numpy as np

from edgetl.errors import PrecisionError
from edgetl.exporter.lowering.graph import MOVING, Graph, Operator, Steps, Tensor
from edgetl.exporter.lowering.numbers import INT8, INT16, PIXELS, Integers, quantized_layer
from edgetl.exporter.lowering.second_factors import around_zero, second_factors
from edgetl.exporter.onnx_pixels import is_framing
from edgetl.exporter.ranges import PIXEL_RANGE, Range

_OUTPUT_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # axis of the weights
_ALIKE = {"CONCATENATION", "MAXIMUM", "MINIMUM"}  # all that they are given must have the steps of the result
_SHARES = {"SOFTMAX", "LOGISTIC"}
_SUMS = {"ADD", "SUB"}
_TANH = "TANH"
# Of the coarsest operand's step. Where operands cancel out so that the result's would be 2^19 times finer, LiteRT ends the process.
_FINEST_SUM = 2.0**-16
# They have steps of their own on both sides.
_FREE = {
    "MUL", "MEAN", "HARD_SWISH", "GELU", "BATCH_MATMUL", "RELU", "RELU6", "RELU_N1_TO_1",
    "RELU_0_TO_1", "LEAKY_RELU", "PRELU", "ELU", "RSQRT", "EXP", "ABS",
}  # fmt: skip


_IN_INTEGERS = {*_ALIKE, *_OUTPUT_CHANNELS, *MOVING, *_SHARES, *_SUMS, *_FREE, _TANH}


def quantized(graph: Graph, ranges: Mapping[str, Range], kept: Collection[str] = ()) -> Graph:
    """The graph in int8, its input and outputs too, except for the operators of the ONNX nodes `kept`, which stay in float; where some
    do, so do those that have no int8 form.

    Raises PrecisionError for an operator that has no int8 form, where all are to be in int8.
    """
    return _Quantizer(graph, ranges, INT8, frozenset(kept)).run()


def in_int16(graph: Graph, ranges: Mapping[str, Range]) -> Graph:
    """The graph with int16 activations and int8 weights. Pixels go in as floats, since an int16 step is no whole pixel value, and
    logits come out as such."""
    return _Quantizer(graph, ranges, INT16, frozenset()).run()


def halved(graph: Graph) -> Graph:
    """The graph with constants stored as float16, and made floats before they are used."""
    tensors, first = dict(graph.tensors), []
    for name, tensor in graph.tensors.items():
        if tensor.data is not None and tensor.type == "float32" and tensor.data.size > 1:
            stored = f"{name}/float16"
            tensors[stored] = Tensor(tensor.shape, "float16", tensor.data.astype(np.float16))
            tensors[name] = msgspec.structs.replace(tensor, data=None)
            first.append(Operator("DEQUANTIZE", (stored,), (name,)))
    return Graph(tensors, [*first, *graph.operators], graph.inputs, graph.outputs)


class _Quantizer:
    """One graph on its way. An activation is made in integers or in float, and turned where somebody needs the other."""

    def __init__(self, graph: Graph, ranges: Mapping[str, Range], integers: Integers, kept: frozenset[str]) -> None:
        self._source, self._integers, self._kept = graph, integers, kept
        second = second_factors(graph)
        self._ranges = {name: around_zero(r) if name in second else r for name, r in ranges.items()}
        self._ranges.update(dict.fromkeys([*graph.inputs, *filter(is_framing, graph.tensors)], PIXEL_RANGE))
        self._made = Graph({}, [], graph.inputs, ())
        self._turned: dict[tuple[str, bool], str] = {}

    def run(self) -> Graph:
        """The quantized graph."""
        floats = self._integers is INT16
        for name in self._source.inputs:
            tensor = self._source.tensors[name]
            if not floats:
                tensor = Tensor(tensor.shape, self._integers.type, steps=PIXELS)
            self._made.tensors[name] = tensor
        for operator in self._source.operators:
            inputs = self._inputs(operator)  # what turns them comes before it
            self._made.operators.append(msgspec.structs.replace(operator, inputs=inputs))
        turn = self._in_float if floats else self._in_integers
        self._made.outputs = tuple(turn(name) for name in self._source.outputs)
        return self._made

    def _inputs(self, operator: Operator) -> tuple[str, ...]:
        """What the operator is given; its result is added too."""
        if operator.node not in self._kept and (not self._kept or operator.kind in _IN_INTEGERS):
            return self._integer_inputs(operator)
        self._made.tensors.update({name: self._source.tensors[name] for name in operator.outputs})
        return tuple(self._in_float(name) for name in operator.inputs)

    def _integer_inputs(self, operator: Operator) -> tuple[str, ...]:
        """The same in integers."""
        (name,) = operator.outputs
        if operator.kind in _ALIKE:
            steps = self._integers.steps(self._ranges[name])
            inputs = tuple(self._in_integers(given, steps) for given in operator.inputs)
        elif operator.kind in _OUTPUT_CHANNELS:
            steps, first = self._integers.steps(self._ranges[name]), self._in_integers(operator.inputs[0])
            inputs = first, *self._layer(operator, self._steps_of(first), steps)
        elif operator.kind in MOVING:
            first = self._in_integers(operator.inputs[0])
            steps = self._steps_of(first)
            inputs = first, *(self._in_integers(given, steps) for given in operator.inputs[1:])
        else:
            inputs = self._summands(operator) if operator.kind in _SUMS else self._all_in_integers(operator)
            steps = self._steps_of_result(operator, inputs)
        self._made.tensors[name] = Tensor(self._source.tensors[name].shape, self._integers.type, steps=steps)
        return inputs

    def _all_in_integers(self, operator: Operator) -> tuple[str, ...]:
        return tuple(self._in_integers(given) for given in operator.inputs)

    def _summands(self, operator: Operator) -> tuple[str, ...]:
        """A constant of nothing but zeros, as an attention may have for its places, takes the steps of what it is added to: its own
        would be coarse beside them."""
        constants = {name: self._source.tensors[name].data for name in operator.inputs}
        empty = {name for name, data in constants.items() if data is not None and not data.any()}
        moving = [name for name, data in constants.items() if data is None]
        if not empty or not moving:
            return self._all_in_integers(operator)
        like = self._steps_of(self._in_integers(moving[0]))
        return tuple(self._in_integers(name, like if name in empty else None) for name in operator.inputs)

    def _steps_of(self, name: str) -> Steps:
        steps = self._made.tensors[name].steps
        assert steps is not None, name
        return steps

    def _steps_of_result(self, operator: Operator, inputs: tuple[str, ...]) -> Steps:
        (name,) = operator.outputs
        if operator.kind in _SHARES:
            return self._integers.share_steps()
        if operator.kind == _TANH:
            return self._integers.tanh_steps()
        if operator.kind in _SUMS:
            coarsest = max(float(self._steps_of(given).scale[0]) for given in inputs)
            return self._integers.steps(self._ranges[name], coarsest * _FINEST_SUM)
        if operator.kind in _FREE:
            return self._integers.steps(self._ranges[name])
        raise PrecisionError.of(operator.kind, operator.node, f"in {self._integers.type}")

    def _layer(self, operator: Operator, given: Steps, made: Steps) -> Iterator[str]:
        """A layer's weights and biases, added."""
        weights, axis = self._source.tensors[operator.inputs[1]].data, _OUTPUT_CHANNELS[operator.kind]
        assert weights is not None
        bias = np.zeros(weights.shape[axis], np.float32)
        if operator.inputs[2]:
            known = self._source.tensors[operator.inputs[2]].data
            assert known is not None
            bias = known
        names = operator.inputs[1], operator.inputs[2] or f"{operator.inputs[1]}/bias"
        for name, tensor in zip(names, quantized_layer(weights, bias, axis, given, made, self._integers), strict=True):
            yield self._made.add(name, tensor)

    def _in_integers(self, name: str, like: Steps | None = None) -> str:
        """A tensor in integers, of steps like others if that is asked; whole numbers stay what they are."""
        source = self._source.tensors[name]
        if source.data is not None:
            if source.type != "float32":
                self._made.tensors[name] = source
                return name
            return self._made.add(name, self._integers.constant(source.data, like))
        made = self._made.tensors[name]
        if made.steps is not None and (like is None or made.steps.like(like)):
            return name
        if like is not None:  # steps of a few operators' own, which nobody shares
            return self._turn("QUANTIZE", name, Tensor(source.shape, self._integers.type, steps=like))
        if (name, True) not in self._turned:
            steps = self._integers.steps(self._ranges[name])
            self._turned[name, True] = self._turn(
                "QUANTIZE", name, Tensor(source.shape, self._integers.type, steps=steps)
            )
        return self._turned[name, True]

    def _in_float(self, name: str) -> str:
        """A tensor in float."""
        if not name:
            return name
        source = self._source.tensors[name]
        if source.data is not None:
            return self._made.add(name, source)
        if self._made.tensors[name].steps is None:
            return name
        if (name, False) not in self._turned:
            self._turned[name, False] = self._turn("DEQUANTIZE", name, Tensor(source.shape))
        return self._turned[name, False]

    def _turn(self, kind: str, name: str, tensor: Tensor) -> str:
        turned = self._made.add(f"{name}/{tensor.type}", tensor)
        self._made.operators.append(Operator(kind, (name,), (turned,)))
        return turned
