"""A TFLite file's graph. Field numbers are those of TensorFlow Lite's schema.fbs (version 3)."""

from __future__ import annotations

import msgspec

from edgetl.errors import ModelError
from edgetl.runtime.graphs.flatbuffer import FlatBuffer, Table
from edgetl.runtime.graphs.tflite_operators import CUSTOM, operator_name

_TYPE_LIST = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant "
    "uint32 uint16 int4 bfloat16 int2"
)
_TYPES = tuple(_TYPE_LIST.split())


class TfliteTensor(msgspec.Struct, frozen=True):
    """One tensor. `shape` has −1 where a dimension is open; `scales` and `zeros` hold one value, or one a channel."""

    name: str
    type: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    constant: bool


class TfliteOperator(msgspec.Struct, frozen=True):
    """One operator with the numbers of its tensors; an input that is left out is not listed."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class TfliteGraph(msgspec.Struct, frozen=True):
    """The only graph of a TFLite file."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(model: bytes, where: str) -> TfliteGraph:
    """Reads the graph of a TFLite file's bytes. Raises ModelError for a damaged one or one of several graphs."""
    if len(model) < 16 or model[4:8] != b"TFL3":
        raise ModelError(f"{where}: not a TFLite model ({len(model)} bytes, no TFL3 mark)")
    root = FlatBuffer(model, where).root()
    filled = [bool(b.length(0) or b.integer(1, "Q")) for b in root.tables(4)]
    kinds = [_kind(code) for code in root.tables(1)]
    graphs = list(root.tables(2))
    if len(graphs) != 1:
        raise ModelError(f"{where}: expected one graph, got {len(graphs)}")
    graph = graphs[0]
    tensors = tuple(_tensor(t, filled) for t in graph.tables(0))
    found = TfliteGraph(tensors, tuple(_operator(o, kinds, where) for o in graph.tables(3)), *_ports(graph))
    _check_numbers(found, where)
    return found


def _kind(code: Table) -> str:
    # The number stood in a byte once; newer files hold it in field 3 as well, the larger of the two counts.
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    name = operator_name(number)
    return f"{CUSTOM} {code.text(1)}" if name == CUSTOM else name


def _tensor(table: Table, filled: list[bool]) -> TfliteTensor:
    kind, buffer = table.integer(1, "b"), table.integer(2, "I")
    signature = table.numbers(7, "<i4")
    shape = signature if len(signature) else table.numbers(0, "<i4")
    quantization = table.table(4)
    return TfliteTensor(
        name=table.text(3),
        type=_TYPES[kind] if 0 <= kind < len(_TYPES) else f"type {kind}",
        shape=tuple(int(n) for n in shape),
        scales=() if quantization is None else tuple(quantization.numbers(2, "<f4").tolist()),
        zeros=() if quantization is None else tuple(quantization.numbers(3, "<i8").tolist()),
        constant=buffer < len(filled) and filled[buffer],
    )


def _operator(table: Table, kinds: list[str], where: str) -> TfliteOperator:
    code = table.integer(0, "I")
    if code >= len(kinds):
        raise ModelError(f"{where}: damaged: an operator of kind {code}, of which there are {len(kinds)}")
    inputs, outputs = (tuple(n for n in table.numbers(field, "<i4").tolist() if n >= 0) for field in (1, 2))
    return TfliteOperator(kinds[code], inputs, outputs)


def _ports(graph: Table) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(graph.numbers(1, "<i4").tolist()), tuple(graph.numbers(2, "<i4").tolist())


def _check_numbers(graph: TfliteGraph, where: str) -> None:
    used = {n for o in graph.operators for n in (*o.inputs, *o.outputs)} | {*graph.inputs, *graph.outputs}
    if wrong := [n for n in used if not 0 <= n < len(graph.tensors)]:
        raise ModelError(f"{where}: damaged: tensor {wrong[0]} is used, of which there are {len(graph.tensors)}")
