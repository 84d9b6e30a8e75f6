"""How much a model computes and moves: multiply-accumulates and bytes of each operator, from its graph alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from edgetl.errors import ModelError
from edgetl.runtime.graphs.onnx import OnnxGraph, OnnxNode, read_onnx
from edgetl.runtime.graphs.tflite import TfliteGraph, TfliteOperator, TfliteTensor, read_tflite

# Bytes of one element; what is not listed is taken for four.
_SIZES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int64": 8,
          "uint64": 8, "float64": 8}  # fmt: skip
_DISPLACED = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Constant"}
_SAME_SIZE = {"Transpose", "Reshape", "Flatten", "Relu", "Clip", "Sigmoid",
              "HardSwish", "HardSigmoid", "Softmax", "Erf", "Sqrt", "LayerNormalization", "Cast"}  # fmt: skip


class OperatorWork(msgspec.Struct, frozen=True):
    """One operator: its multiply-accumulates, the bytes of all that it reads and writes, once each, and whether its product is
    one of int8 (or uint8) values."""

    kind: str
    macs: int
    bytes: int
    int8: bool


class Work(msgspec.Struct, frozen=True):
    """What one inference takes. `working_set`: bytes of all weights and of the largest input and output of an operator."""

    operators: tuple[OperatorWork, ...]
    working_set: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and matrix products; additions, activations and the like have none."""
        return sum(operator.macs for operator in self.operators)

    @property
    def bytes(self) -> int:
        """Bytes that all operators read and write."""
        return sum(operator.bytes for operator in self.operators)


def work_of(model: bytes, where: str) -> Work:
    """What one inference of a TFLite or ONNX file takes. Raises ModelError where it does not say its shapes."""
    if model[4:8] == b"TFL3":
        return work_of_tflite(read_tflite(model, where), where)
    return work_of_onnx(read_onnx(model, where), where)


def work_of_tflite(graph: TfliteGraph, where: str) -> Work:
    """What one inference of a TFLite graph takes. Raises ModelError for one with open dimensions."""
    if any(min(t.shape, default=1) < 0 for o in graph.operators for t in _tensors(graph, (*o.inputs, *o.outputs))):
        raise ModelError(f"{where}: a tensor has an open dimension, so its work is not known")
    constants = {n for o in graph.operators for n in o.inputs if graph.tensors[n].constant}
    found = []
    for operator in graph.operators:
        if operator.inputs and operator.kind == "DEQUANTIZE" and operator.inputs[0] in constants:
            continue  # weights kept as float16: unpacked once, when the file is loaded
        tensors = _tensors(graph, (*operator.inputs, *operator.outputs))
        moved = 0 if operator.kind in _DISPLACED else sum(map(_bytes, tensors))
        found.append(OperatorWork(operator.kind, _tflite_macs(graph, operator), moved, _is_int8(graph, operator)))
    between = max((_activations(graph, o, constants) for o in graph.operators), default=0)
    return Work(tuple(found), sum(_bytes(graph.tensors[n]) for n in constants) + between)


def _tensors(graph: TfliteGraph, numbers: tuple[int, ...]) -> list[TfliteTensor]:
    return [graph.tensors[n] for n in numbers]


def _activations(graph: TfliteGraph, operator: TfliteOperator, constants: set[int]) -> int:
    return sum(_bytes(graph.tensors[n]) for n in (*operator.inputs, *operator.outputs) if n not in constants)


def _bytes(tensor: TfliteTensor) -> int:
    return math.prod(tensor.shape) * _SIZES.get(tensor.type, 4)


def _is_int8(graph: TfliteGraph, operator: TfliteOperator) -> bool:
    return bool(operator.inputs) and graph.tensors[operator.inputs[0]].type in ("int8", "uint8", "int16")


def _tflite_macs(graph: TfliteGraph, operator: TfliteOperator) -> int:
    shapes = [graph.tensors[n].shape for n in operator.inputs]
    outputs = math.prod(graph.tensors[operator.outputs[0]].shape) if operator.outputs else 0
    rules: dict[str, Callable[[], int]] = {
        "CONV_2D": lambda: outputs * math.prod(shapes[1][1:]),
        "DEPTHWISE_CONV_2D": lambda: outputs * math.prod(shapes[1][1:3]),
        "FULLY_CONNECTED": lambda: outputs * shapes[1][-1],
        "BATCH_MATMUL": lambda: outputs * _inner(shapes[0], graph.tensors[operator.outputs[0]].shape),
        "TRANSPOSE_CONV": lambda: math.prod(shapes[2]) * math.prod(shapes[1][:3]),
    }
    return rules[operator.kind]() if operator.kind in rules else 0


def _inner(left: tuple[int, ...], out: tuple[int, ...]) -> int:
    """The length of the sums of a product of matrices, whichever way the left one lies."""
    return math.prod(left) // max(1, math.prod(out[:-1]))


def work_of_onnx(graph: OnnxGraph, where: str) -> Work:
    """What one inference of an ONNX graph takes. QuantizeLinear and DequantizeLinear say in what the operators between them
    compute and are no work of their own. Raises ModelError where the file does not say a shape."""
    shapes = _Shapes(graph, where)
    found, largest = [], 0
    for node in graph.nodes:
        if node.kind in ("QuantizeLinear", "DequantizeLinear"):
            continue
        moved = 0 if node.kind in _DISPLACED else sum(map(shapes.bytes, (*filter(None, node.inputs), *node.outputs)))
        int8 = bool(node.inputs) and shapes.stored(node.inputs[0]) in ("int8", "uint8", "int16", "uint16")
        found.append(OperatorWork(node.kind, _onnx_macs(shapes, node), moved, int8))
        names = [n for n in (*node.inputs, *node.outputs) if n and shapes.root(n) not in graph.constants]
        largest = max(largest, sum(map(shapes.bytes, names)))
    weights = {shapes.root(n) for node in graph.nodes for n in node.inputs} & set(graph.constants)
    return Work(tuple(found), sum(map(shapes.bytes, weights)) + largest)


class _Shapes:
    """The shape of every value of an ONNX graph, and the type in which it is stored between operators."""

    def __init__(self, graph: OnnxGraph, where: str) -> None:
        self._graph, self._where = graph, where
        self._makers = {name: node for node in graph.nodes for name in node.outputs}
        self._takers: dict[str, list[OnnxNode]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._takers.setdefault(name, []).append(node)
        ports = {port.name: port.shape for port in (*graph.outputs, *graph.inputs)}
        told = {**graph.shapes, **ports, **{name: c.shape for name, c in graph.constants.items()}}
        self._known = {self.root(name): shape for name, shape in told.items() if min(shape, default=1) >= 0}
        self._types = {port.name: port.type for port in (*graph.inputs, *graph.constants.values())}

    def root(self, name: str) -> str:
        """What a value is, before it was quantized or widened."""
        maker = self._makers.get(name)
        while maker is not None and maker.kind in ("QuantizeLinear", "DequantizeLinear"):
            name = maker.inputs[0]
            maker = self._makers.get(name)
        return name

    def __getitem__(self, name: str) -> tuple[int, ...]:
        """A value's shape; of a node that keeps the number of elements, one that has as many."""
        found = self.root(name)
        while found not in self._known:
            maker = self._makers.get(found)
            if maker is None or maker.kind not in _SAME_SIZE:
                raise ModelError(
                    f"{self._where}: the file does not say the shape of {name!r}, so its work is not known"
                )
            found = self.root(maker.inputs[0])
        return self._known[found]

    def stored(self, name: str) -> str:
        """The type in which a value lies in memory, once the interpreter has taken quantization into its operators."""
        maker = self._makers.get(name)
        if maker is not None and maker.kind == "DequantizeLinear":
            return self._zero_type(maker)
        takers = self._takers.get(name, [])
        if takers and all(t.kind == "QuantizeLinear" for t in takers):
            return self._zero_type(takers[0])
        return self._types.get(name, "float32")

    def _zero_type(self, node: OnnxNode) -> str:
        zero = node.inputs[2] if len(node.inputs) > 2 else ""
        if zero in self._types:
            return self._types[zero]
        return self._types.get(node.inputs[0], "uint8") if node.kind == "DequantizeLinear" else "uint8"

    def bytes(self, name: str) -> int:
        """Bytes of a value as it is stored."""
        return math.prod(self[name]) * _SIZES.get(self.stored(name), 4)


def _onnx_macs(shapes: _Shapes, node: OnnxNode) -> int:
    if node.kind in ("Conv", "Gemm", "MatMul"):
        outputs = math.prod(shapes[node.outputs[0]])
        if node.kind == "Conv":
            return outputs * math.prod(shapes[node.inputs[1]][1:])
        if node.kind == "Gemm":
            return outputs * math.prod(shapes[node.inputs[1]]) // max(1, shapes[node.outputs[0]][-1])
        return outputs * shapes[node.inputs[0]][-1]
    if node.kind == "ConvTranspose":
        return math.prod(shapes[node.inputs[0]]) * math.prod(shapes[node.inputs[1]][1:])
    return 0
