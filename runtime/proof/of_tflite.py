"""The proof of a TFLite file."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable

from edgetl.errors import ModelError
from edgetl.runtime.graphs import TfliteGraph, TfliteOperator, TfliteTensor, read_tflite
from edgetl.runtime.manifest import Precision
from edgetl.runtime.proof.record import Island, Port, Proof

_INT8 = {"int8", "uint8"}
# Shapes, axes and biases (int32 with the scale of input × weights) are part of an int8 operator, and so is a mask.
_BESIDE = {"int32", "int64", "bool"}
_TURNS = {"QUANTIZE", "DEQUANTIZE"}
_LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
LABELS_NAME = "labels.txt"
_ZIP_END_BYTES = 22  # the last record of a zip without a comment
_MAX_LABELS_BYTES = 1 << 20


def prove_tflite(model: bytes, where: str, precision: Precision = "int8") -> Proof:
    """Reads every operator's tensor types from the file. Raises ModelError."""
    graph = read_tflite(model, where)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            f"{where}: expected one input and one output, got {len(graph.inputs)} and {len(graph.outputs)}"
        )
    _check_scales(graph, where)
    last = [o.kind for o in graph.operators if graph.outputs[0] in o.outputs]
    return Proof(
        model=where,
        operators=dict(Counter(o.kind for o in graph.operators).most_common()),
        tensors=dict(Counter(t.type for t in graph.tensors).most_common()),
        islands=tuple(_island(o, graph.tensors) for o in graph.operators if not _computes[precision](o, graph.tensors)),
        input=_port(graph.tensors[graph.inputs[0]]),
        output=_port(graph.tensors[graph.outputs[0]]),
        softmax="inside" if "SOFTMAX" in last else "outside",
        labels=_packed_labels(model, where),
        precision=precision,
    )


def _packed_labels(model: bytes, where: str) -> tuple[str, ...] | None:
    """The labels in the zip behind the model, where the TFLite metadata keeps them."""
    if model[-_ZIP_END_BYTES:][:4] != b"PK\x05\x06":
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            if LABELS_NAME not in archive.namelist():
                return None
            if archive.getinfo(LABELS_NAME).file_size > _MAX_LABELS_BYTES:
                raise ModelError(f"{where}: {LABELS_NAME} is larger than {_MAX_LABELS_BYTES} bytes")
            return tuple(archive.read(LABELS_NAME).decode("utf-8", "backslashreplace").splitlines())
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, OSError, EOFError, RuntimeError) as error:
        raise ModelError(f"{where}: the files packed behind the model are damaged ({error})") from error


def _island(operator: TfliteOperator, tensors: tuple[TfliteTensor, ...]) -> Island:
    given, made = ([tensors[n].type for n in numbers] for numbers in (operator.inputs, operator.outputs))
    name = tensors[operator.outputs[0]].name if operator.outputs else "no output"
    return Island(operator.kind, name, f"{', '.join(dict.fromkeys(given))} → {', '.join(dict.fromkeys(made))}")


def _data(numbers: tuple[int, ...], tensors: tuple[TfliteTensor, ...]) -> set[str]:
    return {tensors[n].type for n in numbers} - _BESIDE


def _in_int8(operator: TfliteOperator, tensors: tuple[TfliteTensor, ...]) -> bool:
    return _data((*operator.inputs, *operator.outputs), tensors) <= _INT8


def _in_int16(operator: TfliteOperator, tensors: tuple[TfliteTensor, ...]) -> bool:
    """Activations in int16, weights in int8. What turns the pixels into int16 and the logits into floats belongs to it."""
    given, made = _data(operator.inputs, tensors), _data(operator.outputs, tensors)
    if operator.kind in _TURNS:
        return {"int16"} in (given, made)
    return made <= {"int16"} and given <= {"int16", "int8"} and (given != {"int8"})


def _in_float16(operator: TfliteOperator, tensors: tuple[TfliteTensor, ...]) -> bool:
    """Arithmetic in floats; the weights of a layer are stored in float16, and a Dequantize widens them."""
    if not _data((*operator.inputs, *operator.outputs), tensors) <= {"float16", "float32"}:
        return False
    weights = [tensors[n] for n in operator.inputs[1:2] if operator.kind in _LAYERS]
    return not any(w.constant and w.type != "float16" for w in weights)


def _in_float32(operator: TfliteOperator, tensors: tuple[TfliteTensor, ...]) -> bool:
    return _data((*operator.inputs, *operator.outputs), tensors) <= {"float32"}


_computes: dict[Precision, Callable[[TfliteOperator, tuple[TfliteTensor, ...]], bool]] = {
    "int8": _in_int8, "mixed": _in_int8, "int16": _in_int16, "float16": _in_float16, "float32": _in_float32,
}  # fmt: skip


def _check_scales(graph: TfliteGraph, where: str) -> None:
    """An int8 number without a scale stands for nothing; the interpreter would not say so."""
    for operator, tensor in ((o, graph.tensors[n]) for o in graph.operators for n in (*o.inputs, *o.outputs)):
        if tensor.type == "int8" and not tensor.scales:
            raise ModelError(f"{where}: {tensor.name} is int8 without a scale; quantize the model, not only its type")
        if any(not 0 < scale < float("inf") for scale in tensor.scales):
            layer = f"{operator.kind} {graph.tensors[operator.outputs[0]].name}" if operator.outputs else operator.kind
            raise ModelError(f"{where}: {tensor.name} of {layer} has a scale that is not a positive number")
        if len(tensor.zeros) not in (0, len(tensor.scales)):
            raise ModelError(
                f"{where}: {tensor.name} has {len(tensor.scales)} scales and {len(tensor.zeros)} zero points"
            )


def _port(tensor: TfliteTensor) -> Port:
    step = tensor.scales[0] if len(tensor.scales) == 1 else 0.0
    return Port(tensor.type, tensor.shape, step, int(tensor.zeros[0]) if len(tensor.zeros) == 1 else 0)
