"""Real models of one operator and real bundles around them, made in milliseconds, whose answers can be told by eye.

The model gives the mean of each colour channel as its logit, so a red picture is `red` and a grey one is undecided.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgetl.runtime.decision import DecisionRule, decide
from edgetl.runtime.golden import Expected, GoldenPicture, GoldenSet, input_hash
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.manifest import GOLDEN_NAME, MANIFEST_NAME, SPLITS_NAME
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess

SIZE = 32
LABELS = ("red", "green", "blue")  # in the order of the model's channels
RULE = DecisionRule(labels=LABELS, ok_labels=("green",), min_score=0.5)
HOW = Preprocessing(size=SIZE)
BGR = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0), "grey": (90, 90, 90)}

_TYPES = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "float32": schema.TensorType.FLOAT32,
          "int16": schema.TensorType.INT16, "int32": schema.TensorType.INT32}  # fmt: skip


def plain(colour: str, width: int = 48, height: int = 40) -> Image:
    """A frame (H×W×3 BGR) of one colour."""
    return np.full((height, width, 3), BGR[colour], np.uint8)


def _tensor(name: str, shape: tuple[int, ...], kind: int, buffer: int, quantized: tuple[float, int] | None) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
    if quantized is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [quantized[0]], [quantized[1]]
    return tensor


def tflite(
    shape: tuple[int, ...] = (1, SIZE, SIZE, 3),
    dtype: str = "int8",
    step: tuple[float, int] | None = (1.0, -128),
    outputs: int = 1,
) -> bytes:
    """A TFLite file: the mean over height and width; `step` is the input's and output's scale and zero point."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    code.version = 2
    mean = schema.OperatorT()
    mean.opcodeIndex, mean.inputs, mean.outputs = 0, [0, 1], [2]
    mean.builtinOptionsType, mean.builtinOptions = schema.BuiltinOptions.ReducerOptions, schema.ReducerOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor("picture", shape, _TYPES[dtype], 0, step),
        _tensor("axes", (2,), schema.TensorType.INT32, 1, None),
        _tensor("logits", (1, shape[-1] if shape else 1), _TYPES[dtype], 0, step),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2] * outputs, [mean]
    axes = schema.BufferT()
    axes.data = list(np.array([1, 2], np.int32).tobytes())
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), axes]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def crashing() -> bytes:
    """The same model with one offset damaged, on which LiteRT ends its process with a segmentation fault."""
    data = bytearray(tflite())
    data[196:200] = b"\xff" * 4
    return bytes(data)


def hanging() -> bytes:
    """A model whose first inference never ends: before the mean stands a loop whose condition stays true."""
    code = {name: schema.OperatorCodeT() for name in ("WHILE", "MEAN", "LOGICAL_OR")}
    for name, found in code.items():
        found.builtinCode = found.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        found.version = 2 if name == "MEAN" else 1
    loop, mean = schema.OperatorT(), schema.OperatorT()
    loop.opcodeIndex, loop.inputs, loop.outputs = 0, [2], [3]
    loop.builtinOptionsType, loop.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()
    loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
    mean.opcodeIndex, mean.inputs, mean.outputs = 1, [0, 1], [4]
    mean.builtinOptionsType, mean.builtinOptions = schema.BuiltinOptions.ReducerOptions, schema.ReducerOptionsT()
    main = schema.SubGraphT()
    main.tensors = [
        _tensor("picture", (1, SIZE, SIZE, 3), schema.TensorType.INT8, 0, (1.0, -128)),
        _tensor("axes", (2,), schema.TensorType.INT32, 1, None),
        _tensor("on", (1,), schema.TensorType.BOOL, 2, None),
        _tensor("never", (1,), schema.TensorType.BOOL, 0, None),
        _tensor("logits", (1, 3), schema.TensorType.INT8, 0, (1.0, -128)),
    ]
    main.inputs, main.outputs, main.operators = [0], [4], [loop, mean]
    axes, on = schema.BufferT(), schema.BufferT()
    axes.data, on.data = list(np.array([1, 2], np.int32).tobytes()), [1]
    model = schema.ModelT()
    model.version, model.operatorCodes = 3, list(code.values())
    model.subgraphs, model.buffers = [main, _same("condition"), _same("body")], [schema.BufferT(), axes, on]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _same(name: str) -> Any:
    """A subgraph that gives the truth value that it gets."""
    either = schema.OperatorT()
    either.opcodeIndex, either.inputs, either.outputs = 2, [0, 0], [1]
    graph = schema.SubGraphT()
    graph.name = name
    graph.tensors = [_tensor(f"{name}_{end}", (1,), schema.TensorType.BOOL, 0, None) for end in ("in", "out")]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [either]
    return graph


def hungry(megabytes: int) -> bytes:
    """The same model, which on its way repeats the picture until it takes that much memory, and cuts it off again."""
    times = megabytes * 1_000_000 // (SIZE * SIZE * 3)
    names = ("TILE", "SLICE", "MEAN")
    codes = [schema.OperatorCodeT() for _ in names]
    for code, name in zip(codes, names, strict=True):
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 2
    inputs = ([0, 1], [2, 3, 4], [5, 6])
    operators = [schema.OperatorT() for _ in names]
    for number, operator in enumerate(operators):
        operator.opcodeIndex, operator.inputs, operator.outputs = number, inputs[number], [(2, 5, 7)[number]]
    operators[2].builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operators[2].builtinOptions = schema.ReducerOptionsT()
    picture, int8, int32, step = (1, SIZE, SIZE, 3), schema.TensorType.INT8, schema.TensorType.INT32, (1.0, -128)
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor("picture", picture, int8, 0, step),
        _tensor("times", (4,), int32, 1, None),
        _tensor("wide", (1, SIZE * times, SIZE, 3), int8, 0, step),
        _tensor("from", (4,), int32, 2, None),
        _tensor("size", (4,), int32, 3, None),
        _tensor("cut", picture, int8, 0, step),
        _tensor("axes", (2,), int32, 4, None),
        _tensor("logits", (1, 3), int8, 0, step),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [7], operators
    constants = [schema.BufferT() for _ in range(5)]
    for buffer, values in zip(constants[1:], ([1, times, 1, 1], [0, 0, 0, 0], picture, [1, 2]), strict=True):
        buffer.data = list(np.array(values, np.int32).tobytes())
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, codes, [graph], constants
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx(shape: tuple[int | str, ...] = (1, SIZE, SIZE, 3), dtype: str = "uint8") -> bytes:
    """The same model as an ONNX graph."""
    from onnx import TensorProto, helper

    kinds = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    nodes = [
        helper.make_node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["logits"], axes=[1, 2], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("picture", kinds[dtype], shape)]
    results = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], 3])]
    graph = helper.make_graph(nodes, "mean", inputs, results)
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()
    return made


def png(image: Image) -> bytes:
    """A picture as PNG bytes."""
    good, data = cv2.imencode(".png", image)
    assert good
    return data.tobytes()


def golden_of(model: bytes, how: Preprocessing = HOW, rule: DecisionRule = RULE) -> tuple[GoldenSet, dict[str, bytes]]:
    """A golden set of three plain pictures with what the model gives for them here, and its files."""
    reference, fast = (open_interpreter("litert", model, "model/int8.tflite", 1, k) for k in ("reference", "fast"))
    pictures, files = [], {}
    for number, colour in enumerate(LABELS):
        path = f"golden/{number:03d}.png"
        files[path] = png(plain(colour))
        image = preprocess(plain(colour), how)
        decision = decide(fast.logits(image), rule)
        outputs = tuple(float(v) for v in reference.raw(image))
        expected = Expected(outputs, decision.label, decision.verdict)
        pictures.append(GoldenPicture(path, colour, input_hash(image), {"model/int8.tflite": expected}))
    return GoldenSet(tuple(pictures)), files


def content() -> dict[str, bytes]:
    """The members of a small bundle, without the manifest."""
    model = tflite()
    golden, files = golden_of(model)
    return {
        **files,
        "model/int8.tflite": model,
        GOLDEN_NAME: msgspec.json.encode(golden),
        SPLITS_NAME: msgspec.json.encode({"test": ["ab" * 32], "train": ["cd" * 32, "ef" * 32]}),
        "card.md": b"# plain colours\n",
    }


def manifest_of(files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    """A manifest that tells the truth about `files`, with some fields replaced."""
    manifest = {
        "format_version": 1,
        "name": "plain",
        "created": "2025-01-01T00:00:00Z",
        "rule": msgspec.to_builtins(RULE),
        "preprocessing": msgspec.to_builtins(HOW),
        "models": [{"path": "model/int8.tflite", "format": "tflite", "precision": "int8"}],
        "measured": [],
        "lineage": {"run": "r", "backbone": "b", "weights": "none", "trained": "head", "seed": 0, "calibration": []},
        "tools": {},
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
    }
    return {**manifest, **changes}


def entry(name: str, *, compressed: bool = False) -> zipfile.ZipInfo:
    """A zip entry as the exporter writes it."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    return info


def write(
    path: Path,
    files: dict[str, bytes] | None = None,
    *,
    manifest: bytes | dict[str, Any] | None = None,
    more: Callable[[zipfile.ZipFile], None] = lambda _: None,
) -> Path:
    """Writes a bundle of `files` with its manifest (or the one given); `more` may add to the archive."""
    files = content() if files is None else files
    told = manifest_of(files) if manifest is None else manifest
    with zipfile.ZipFile(path, "w") as archive:
        data = told if isinstance(told, bytes) else msgspec.json.encode(told)
        archive.writestr(entry(MANIFEST_NAME, compressed=True), data)
        for name, data in files.items():
            archive.writestr(entry(name), data)
        more(archive)
    return path


def rewritten(path: Path, out: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a bundle with members changed (None leaves one out) and a manifest that vouches for the new ones."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files = {name: new for name, data in files.items() if (new := change(name, data)) is not None}
    manifest = msgspec.json.decode(files.pop(MANIFEST_NAME))
    manifest["files"] = manifest_of(files)["files"]
    return write(out, files, manifest=manifest)
