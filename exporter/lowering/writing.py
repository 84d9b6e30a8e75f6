"""Writes a graph as a TFLite file, by the schema that LiteRT brings."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgetl.exporter.lowering.graph import Graph, Operator, Tensor

SIGNATURE = "serving_default"  # what TensorFlow calls the only one, and programs ask for
DESCRIPTION = "edgetl"
# The options' record of each operator, where it has one that says anything; of the others the kind is enough.
_OPTIONS = {
    "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions", "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions", "REDUCE_MIN": "ReducerOptions",
    "SOFTMAX": "SoftmaxOptions", "GELU": "GeluOptions", "LEAKY_RELU": "LeakyReluOptions",
    "BATCH_MATMUL": "BatchMatMulOptions", "CONCATENATION": "ConcatenationOptions", "GATHER": "GatherOptions",
    "STRIDED_SLICE": "StridedSliceOptions", "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions", "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "RESHAPE": "ReshapeOptions", "TRANSPOSE": "TransposeOptions", "PAD": "PadOptions", "SLICE": "SliceOptions",
    "HARD_SWISH": "HardSwishOptions", "QUANTIZE": "QuantizeOptions", "DEQUANTIZE": "DequantizeOptions",
    "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions", "EXP": "ExpOptions", "ABS": "AbsOptions", "POW": "PowOptions", "BROADCAST_TO": "BroadcastToOptions",
}  # fmt: skip
_WORDS = {
    "padding": schema.Padding, "fusedActivationFunction": schema.ActivationFunctionType,
    "weightsFormat": schema.FullyConnectedOptionsWeightsFormat,
}  # fmt: skip
# The first version of an operator that takes such numbers, which older interpreters are told by; 1 where none is named.
_VERSIONS = {
    "float32": {"BROADCAST_TO": 2},
    "int8": {
        "ADD": 2, "SUB": 2, "MUL": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "MEAN": 2, "PAD": 2,
        "MAX_POOL_2D": 2, "AVERAGE_POOL_2D": 2, "SOFTMAX": 2, "LOGISTIC": 2, "TANH": 2, "RESHAPE": 1, "TRANSPOSE": 2,
        "CONCATENATION": 2, "SLICE": 2, "STRIDED_SLICE": 2, "GATHER": 2, "RELU": 2, "RELU6": 2, "LEAKY_RELU": 2,
        "BATCH_MATMUL": 2, "RESIZE_BILINEAR": 2, "RESIZE_NEAREST_NEIGHBOR": 2, "MAXIMUM": 2, "MINIMUM": 2, "RSQRT": 2,
        "DEQUANTIZE": 2, "REDUCE_MAX": 2, "REDUCE_MIN": 2, "DEPTH_TO_SPACE": 2, "BROADCAST_TO": 3,
    },
    "int16": {
        "ADD": 2, "SUB": 5, "MUL": 4, "CONV_2D": 4, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 7, "MEAN": 3, "PAD": 3,
        "MAX_POOL_2D": 3, "AVERAGE_POOL_2D": 3, "SOFTMAX": 3, "LOGISTIC": 3, "TANH": 3, "RESHAPE": 1, "TRANSPOSE": 4,
        "CONCATENATION": 3, "SLICE": 4, "STRIDED_SLICE": 4, "GATHER": 4, "RELU": 3, "RELU6": 3, "LEAKY_RELU": 2,
        "BATCH_MATMUL": 3, "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 4, "MAXIMUM": 4, "MINIMUM": 4,
        "QUANTIZE": 2, "DEQUANTIZE": 3,
    },
}  # fmt: skip
_ALIGNMENT = 16  # in bytes, of Buffer.data in the schema
_FLOAT16_DEQUANTIZE, _KEEPING_DIMS, _WITHOUT_BIAS = 3, 5, 6  # of DEQUANTIZE, and of FULLY_CONNECTED twice


def packed(graph: Graph) -> bytes:
    """The bytes of the file."""
    model, plan = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.subgraphs = 3, DESCRIPTION, [plan]
    empty = schema.BufferT()
    model.buffers = [empty]  # by rule the first, for what is no constant
    numbers = {name: number for number, name in enumerate(graph.tensors)}
    plan.tensors = [_tensor(name, tensor, model.buffers) for name, tensor in graph.tensors.items()]
    plan.inputs, plan.outputs = ([numbers[n] for n in names] for names in (graph.inputs, graph.outputs))
    plan.name = "main"
    codes: dict[tuple[str, int], int] = {}
    plan.operators = [_operator(operator, graph, numbers, codes) for operator in graph.operators]
    model.operatorCodes = [_code(kind, version) for kind, version in codes]
    model.signatureDefs = [_signature(graph, numbers)]
    return file_of(model)


class _Aligned(flatbuffers.Builder):  # type: ignore[misc]
    """Begins bytes where the schema wants those of constants, which Python's generated code does not know of (`force_align`):
    interpreters read weights where they lie in the file, as numbers of up to eight bytes and in vectors of sixteen."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        offset: int = super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)
        return offset


def file_of(model: Any) -> bytes:
    """The bytes of a TFLite file, of the schema's object ModelT."""
    builder = _Aligned(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, tensor: Tensor, buffers: list[Any]) -> Any:
    made = schema.TensorT()
    made.name, made.shape = name, np.array(tensor.shape, np.int32)
    made.type, made.buffer = getattr(schema.TensorType, tensor.type.upper()), 0
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(tensor.data.tobytes(), np.uint8)
        made.buffer = len(buffers)
        buffers.append(buffer)
    if tensor.steps is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = tensor.steps.scale.astype(np.float32)
        made.quantization.zeroPoint = tensor.steps.zero.astype(np.int64)
        made.quantization.quantizedDimension = tensor.steps.axis
    return made


def _operator(operator: Operator, graph: Graph, numbers: dict[str, int], codes: dict[tuple[str, int], int]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = codes.setdefault((operator.kind, _version(operator, graph)), len(codes))
    made.inputs = [numbers[name] if name else -1 for name in operator.inputs]
    made.outputs = [numbers[name] for name in operator.outputs]
    if operator.kind in _OPTIONS:
        record = _OPTIONS[operator.kind]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, record)
        made.builtinOptions = getattr(schema, f"{record}T")()
        for name, value in operator.options.items():
            setattr(made.builtinOptions, name, getattr(_WORDS[name], value) if name in _WORDS else value)
    return made


def _version(operator: Operator, graph: Graph) -> int:
    given = graph.tensors[operator.inputs[0]].type
    if operator.kind == "DEQUANTIZE" and given == "float16":
        return _FLOAT16_DEQUANTIZE
    version = _VERSIONS.get(given, {}).get(operator.kind, 1)
    if operator.kind == "FULLY_CONNECTED" and operator.options["keepNumDims"]:
        return max(version, _KEEPING_DIMS)
    if operator.kind == "FULLY_CONNECTED" and not operator.inputs[2]:
        return max(version, _WITHOUT_BIAS)
    return version


def _code(kind: str, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = getattr(schema.BuiltinOperator, kind), version
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # where older readers look
    return code


def _signature(graph: Graph, numbers: dict[str, int]) -> Any:
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = SIGNATURE, 0
    made.inputs, made.outputs = (
        [_named(name, numbers[name]) for name in names] for names in (graph.inputs, graph.outputs)
    )
    return made


def _named(name: str, number: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, number
    return entry
