"""An ONNX file's graph. Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from edgetl.errors import ModelError
from edgetl.runtime.graphs.protobuf import Message

_TYPE_LIST = (
    "undefined float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64 complex64 "
    "complex128 bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1"
)
_TYPES = tuple(_TYPE_LIST.split())
# Where a tensor of each type keeps its values if not in raw_data: field and numpy type (onnx.proto, TensorProto).
_VALUE_FIELDS = {"int8": 5, "uint8": 5, "int32": 5, "int64": 7}
_MOST_NESTED = 8  # graphs within graphs; ours have none


class OnnxTensor(msgspec.Struct, frozen=True):
    """A constant, an input or an output. `shape` has −1 where a dimension is open."""

    name: str
    type: str
    shape: tuple[int, ...]


class OnnxNode(msgspec.Struct, frozen=True):
    """One node with the names of its values; `integers` holds its integer attributes."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, int]


class OnnxGraph(msgspec.Struct, frozen=True):
    """The main graph of an ONNX file. `values` holds the small constants (up to 4096 values) as numbers, `shapes` what the file
    says of values between nodes (−1 where a dimension is open); it need not say anything."""

    nodes: tuple[OnnxNode, ...]
    constants: dict[str, OnnxTensor]
    values: dict[str, tuple[float, ...]]
    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    shapes: dict[str, tuple[int, ...]]


def read_onnx(model: bytes, where: str) -> OnnxGraph:
    """Reads the graph of an ONNX file's bytes. Raises ModelError for a damaged file or one that needs other files."""
    message = Message(model, where)
    graphs = list(message.messages(7))
    if len(graphs) != 1:
        raise ModelError(f"{where}: not an ONNX model ({len(model)} bytes, {len(graphs)} graphs)")
    refuse_other_files(model, where)
    graph = graphs[0]
    tensors = {t.text(8): t for t in graph.messages(5)}
    constants = {name: OnnxTensor(name, _type(t.integer(2), where), t.integers(1)) for name, t in tensors.items()}
    small = {name: t for name, t in tensors.items() if np.prod(constants[name].shape, dtype=np.float64) <= 4096}
    return OnnxGraph(
        nodes=tuple(_node(n) for n in graph.messages(1)),
        constants=constants,
        values={name: _values(t, constants[name], where) for name, t in small.items()},
        inputs=tuple(_port(i, where) for i in graph.messages(11) if i.text(1) not in constants),
        outputs=tuple(_port(o, where) for o in graph.messages(12)),
        shapes={v.text(1): shape for v in graph.messages(13) if (shape := _shape(v)) is not None},
    )


def activation_types(graph: OnnxGraph) -> set[str]:
    """The types in which QuantizeLinear nodes store what is computed: `uint8`, or `int8` as TensorRT takes it."""
    stored = [n.inputs[2] if len(n.inputs) > 2 else "" for n in graph.nodes if n.kind == "QuantizeLinear"]
    return {graph.constants[name].type if name in graph.constants else "uint8" for name in stored}


def _type(number: int, where: str) -> str:
    if not 0 <= number < len(_TYPES):
        raise ModelError(f"{where}: damaged: a tensor of the unknown type {number}")
    return _TYPES[number]


def _node(message: Message) -> OnnxNode:
    integers = {a.text(1): a.integer(3) for a in message.messages(5) if a.fields(3)}
    return OnnxNode(message.text(4), message.text(3), message.texts(1), message.texts(2), integers)


def _port(message: Message, where: str) -> OnnxTensor:
    for kind in message.messages(2):
        for tensor in kind.messages(1):
            return OnnxTensor(message.text(1), _type(tensor.integer(1), where), _dimensions(tensor))
    raise ModelError(f"{where}: {message.text(1)} is no tensor")


def _shape(message: Message) -> tuple[int, ...] | None:
    """The shape that a description of a value gives; None where it gives none."""
    tensors = [tensor for kind in message.messages(2) for tensor in kind.messages(1)]
    return _dimensions(tensors[0]) if tensors and tensors[0].fields(2) else None


def _dimensions(tensor: Message) -> tuple[int, ...]:
    shape = [d for s in tensor.messages(2) for d in s.messages(1)]
    return tuple(d.integer(1) if d.fields(1) else -1 for d in shape)


def _values(message: Message, tensor: OnnxTensor, where: str) -> tuple[float, ...]:
    raw = b"".join(message.contents(9))
    if tensor.type == "float32":
        found = np.frombuffer(_whole(raw or b"".join(message.contents(4)), 4, where), "<f4")
        return tuple(found.tolist())
    if tensor.type not in _VALUE_FIELDS:
        return ()
    if raw:
        dtype = np.dtype(tensor.type)
        return tuple(np.frombuffer(_whole(raw, dtype.itemsize, where), dtype.newbyteorder("<")).astype(float).tolist())
    return tuple(float(v) for v in message.integers(_VALUE_FIELDS[tensor.type]))


def _whole(data: bytes, size: int, where: str) -> bytes:
    if len(data) % size:
        raise ModelError(f"{where}: damaged: {len(data)} bytes of constants that take {size} each")
    return data


def refuse_other_files(model: bytes, where: str) -> None:
    """Raises ModelError where a tensor takes its values from a file: onnxruntime would follow the path it names."""
    if b"location" not in model:  # the key that such a path stands under, so there is none; the walk takes 0.3 s
        return
    for tensor in _tensors(Message(model, where), where):
        if tensor.integer(14) or tensor.fields(13):
            paths = [entry.text(2) for entry in tensor.messages(13) if entry.text(1) == "location"]
            raise ModelError(
                f"{where}: {tensor.text(8) or 'a tensor'} takes its values from another file "
                f"({', '.join(map(repr, paths)) or 'unnamed'}); a model of a bundle holds all its values itself"
            )


def _tensors(model: Message, where: str) -> Iterator[Message]:
    """Every tensor: constants of the graph and of the graphs within it, and those in the attributes of nodes."""
    waiting = [(graph, 1, 0) for graph in model.messages(7)] + [(body, 7, 0) for body in model.messages(25)]
    while waiting:
        holder, nodes, depth = waiting.pop()
        if depth > _MOST_NESTED:
            raise ModelError(f"{where}: graphs nested more than {_MOST_NESTED} deep")
        if nodes == 1:  # a function has no constants of its own
            yield from _listed(holder, (5,), (15,))
        for attribute in (a for node in holder.messages(nodes) for a in node.messages(5)):
            yield from _listed(attribute, (5, 10), (22, 23))
            waiting += [(inner, 1, depth + 1) for number in (6, 11) for inner in attribute.messages(number)]


def _listed(holder: Message, dense: tuple[int, ...], sparse: tuple[int, ...]) -> Iterator[Message]:
    for number in dense:
        yield from holder.messages(number)
    for number in sparse:
        for tensor in holder.messages(number):
            yield from tensor.messages(1)  # the values
            yield from tensor.messages(2)  # and where they stand
