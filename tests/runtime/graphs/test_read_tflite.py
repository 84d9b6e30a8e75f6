"""Our reader of TFLite files sees what the official schema's own reader sees."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.graphs import read_tflite
from edgetl.runtime.graphs.tflite_operators import operator_name
from tests.runtime import tiny

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs ai-edge-litert for its schema")
KINDS = {n: k for k, n in vars(schema.BuiltinOperator).items() if isinstance(n, int)}
TYPES = {n: k.lower() for k, n in vars(schema.TensorType).items() if isinstance(n, int)}


def compare(model: bytes) -> int:
    """Compares everything that both readers know; returns the number of operators."""
    ours, theirs = read_tflite(model, "m.tflite"), schema.ModelT.InitFromPackedBuf(model, 0)
    graph = theirs.subgraphs[0]
    assert [o.kind for o in ours.operators] == [
        KINDS[theirs.operatorCodes[o.opcodeIndex].builtinCode] for o in graph.operators
    ]
    for mine, other in zip(ours.operators, graph.operators, strict=True):
        assert mine.inputs == tuple(n for n in other.inputs if n >= 0) and mine.outputs == tuple(other.outputs)
    for mine, other in zip(ours.tensors, graph.tensors, strict=True):
        assert (mine.name, mine.type) == (other.name.decode(), TYPES[other.type])
        assert mine.shape == tuple(other.shape if other.shapeSignature is None else other.shapeSignature)
        assert mine.constant == (theirs.buffers[other.buffer].data is not None)
        scales, zeros = numbers(other)
        assert mine.scales == pytest.approx(scales) and list(mine.zeros) == zeros
    assert (ours.inputs, ours.outputs) == (tuple(graph.inputs), tuple(graph.outputs))
    return len(ours.operators)


def numbers(tensor: Any) -> tuple[list[float], list[int]]:
    found = tensor.quantization
    if found is None:
        return [], []
    return [[] if v is None else list(v) for v in (found.scale, found.zeroPoint)]  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["model/int8.tflite", "model/float32.tflite"])
def test_models_of_a_bundle(small_bundle: Path, name: str) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        assert compare(archive.read(name)) > 60


def test_somebody_elses_model(data_root: Path) -> None:
    assert compare((data_root / "reference" / "tf2_mobilenet_v2_1.0_224_ptq.tflite").read_bytes()) > 60


def test_tiny_model_of_every_type() -> None:
    for dtype in ("int8", "uint8", "float32", "int16"):
        assert compare(tiny.tflite(dtype=dtype)) == 1


def test_every_operator_has_the_schemas_name() -> None:
    assert [operator_name(n) for n in KINDS if n < 200] == [KINDS[n] for n in KINDS if n < 200]
    assert operator_name(5000) == "BUILTIN_5000"


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", bytes(300), b"\x10\0\0\0TFL3" + bytes(8), tiny.tflite()[:200], tiny.tflite()[:-200]]
)
def test_damaged_file_is_a_model_error_on_one_line(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"^m\.tflite: "):
        read_tflite(data, "m.tflite")


def test_any_bytes_end_soon_in_a_graph_or_a_model_error() -> None:
    """Every byte of a small model set to several values, and random damage over a whole model."""
    good, random = tiny.tflite(), np.random.default_rng(0)
    outcomes = {True: 0, False: 0}
    for position in range(len(good)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            outcomes[reads(good[:position] + bytes([value]) + good[position + 1 :])] += 1
    for _ in range(2000):
        damaged = np.frombuffer(good, np.uint8).copy()
        where = random.integers(0, len(good), random.integers(1, 30))
        damaged[where] = random.integers(0, 256, len(where))
        outcomes[reads(damaged.tobytes())] += 1
    assert min(outcomes.values()) > 500, outcomes


def reads(data: bytes) -> bool:
    try:
        read_tflite(data, "m.tflite")
    except ModelError:
        return False
    return True
