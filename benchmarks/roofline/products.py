"""Model files of one big matrix product each, in TFLite and in ONNX, to measure what a machine computes at its best.

TFLite's is written with the schema that LiteRT brings; ONNX's by hand, since a device has no package that writes it.
"""

from __future__ import annotations

import importlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Type = Literal["int8", "float32"]

ROWS, INNER, COLUMNS = 512, 1024, 512
MACS = ROWS * INNER * COLUMNS
_STEP = 1 / 64  # any will do


def weights(type: Type) -> NDArray[np.generic]:
    """INNER×COLUMNS values by seed."""
    random = np.random.default_rng(0)
    if type == "int8":
        return random.integers(-127, 128, (INNER, COLUMNS), np.int8)
    return random.standard_normal((INNER, COLUMNS), np.float32)


def tflite_product(type: Type) -> bytes:
    """ROWS×INNER times INNER×COLUMNS as one FULLY_CONNECTED. Raises ModuleNotFoundError without LiteRT."""
    import flatbuffers

    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    kind = schema.TensorType.INT8 if type == "int8" else schema.TensorType.FLOAT32

    def tensor(name: str, shape: list[int], buffer: int) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, kind, buffer
        if type == "int8":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [1.0 if name == "out" else _STEP], [0]
        return made

    code, product, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if type == "int8" else 1
    product.opcodeIndex, product.inputs, product.outputs = 0, [0, 1, -1], [2]
    product.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    product.builtinOptions = schema.FullyConnectedOptionsT()
    graph.tensors = [
        tensor("in", [ROWS, INNER], 0), tensor("weights", [COLUMNS, INNER], 1), tensor("out", [ROWS, COLUMNS], 0),
    ]  # fmt: skip
    graph.inputs, graph.outputs, graph.operators = [0], [2], [product]
    constant = schema.BufferT()
    constant.data = np.frombuffer(np.ascontiguousarray(weights(type).T).tobytes(), np.uint8)
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), constant]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


# ONNX's element types (onnx.proto, TensorProto.DataType).
_FLOAT, _UINT8, _INT8 = 1, 2, 3


def onnx_product(type: Type) -> bytes:
    """The same product as MatMul; for int8 between DequantizeLinear and QuantizeLinear, uint8 by int8, as our exports are."""
    if type == "float32":
        nodes = [_node("MatMul", ["in", "weights"], "out")]
        constants = [_constant("weights", _FLOAT, weights(type))]
        return _model(nodes, constants, _FLOAT)
    nodes = [
        _node("DequantizeLinear", ["in", "step", "middle"], "real"),
        _node("DequantizeLinear", ["weights", "step", "zero"], "real weights"),
        _node("MatMul", ["real", "real weights"], "product"),
        _node("QuantizeLinear", ["product", "one", "middle"], "out"),
    ]
    constants = [
        _constant("weights", _INT8, weights(type)),
        _constant("step", _FLOAT, np.float32(_STEP)),
        _constant("one", _FLOAT, np.float32(1)),
        _constant("middle", _UINT8, np.uint8(128)),
        _constant("zero", _INT8, np.int8(0)),
    ]
    return _model(nodes, constants, _UINT8)


def _model(nodes: list[bytes], constants: list[bytes], kind: int) -> bytes:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"product")
    graph += b"".join(_field(5, constant) for constant in constants)
    graph += _field(11, _port("in", kind, (ROWS, INNER))) + _field(12, _port("out", kind, (ROWS, COLUMNS)))
    return _number(1, 8) + _field(8, _number(2, 13)) + _field(7, graph)


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    return b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode()) + _field(4, kind.encode())


def _constant(name: str, kind: int, values: NDArray[np.generic] | np.generic) -> bytes:
    shape = b"".join(_number(1, n) for n in values.shape)
    return shape + _number(2, kind) + _field(8, name.encode()) + _field(9, values.tobytes())


def _port(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dimensions = b"".join(_field(1, _number(1, n)) for n in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + _field(2, dimensions)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
