"""The mean is subtracted row by row: the same bytes come out, and nothing else of a file changes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.exporter.pixel_rows import with_rows

schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs LiteRT")
SIDE = 64


@pytest.fixture(scope="module", params=["model/int8.tflite", "model/float32.tflite"])
def shipped(small_bundle: Path, request: pytest.FixtureRequest) -> bytes:
    with zipfile.ZipFile(small_bundle) as archive:
        return archive.read(request.param)


def shift_of(graph: Any) -> Any:
    """The constant that the first addition adds."""
    plan = graph.subgraphs[0]
    first = plan.operators[0]
    assert graph.operatorCodes[first.opcodeIndex].builtinCode == schema.BuiltinOperator.ADD
    return next(plan.tensors[i] for i in first.inputs if i not in plan.inputs)


def as_converted(model: bytes) -> bytes:
    """The file with one value a channel, as a converter writes it."""
    graph = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    shift = shift_of(graph)
    buffer = graph.buffers[shift.buffer]
    buffer.data = np.asarray(buffer.data)[: len(buffer.data) // SIDE]
    shift.shape = np.array([1, 1, 1, 3], np.int32)
    return packed(graph)


def packed(graph: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.Finish(graph.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def answers(model: bytes, *, fast: bool) -> NDArray[Any]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN if fast else OpResolverType.BUILTIN_REF
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    random, found = np.random.default_rng(0), []
    for _ in range(4):
        interpreter.set_tensor(given["index"], random.integers(-128, 128, given["shape"]).astype(given["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(result["index"]).copy())
    return np.stack(found)


def test_shipped_files_add_a_row_at_once_and_answer_to_the_bit_as_before(shipped: bytes) -> None:
    assert list(shift_of(schema.ModelT.InitFromPackedBuf(bytearray(shipped), 0)).shape) == [1, 1, SIDE, 3]
    before = as_converted(shipped)
    after = with_rows(before, schema)
    assert len(before) < len(after) < len(before) + 5000
    for fast in (True, False):
        assert np.array_equal(answers(after, fast=fast), answers(before, fast=fast))


def test_what_has_rows_already_or_is_read_elsewhere_too_stays(shipped: bytes) -> None:
    assert with_rows(shipped, schema) == shipped
    graph = schema.ModelT.InitFromPackedBuf(bytearray(as_converted(shipped)), 0)
    plan = graph.subgraphs[0]
    plan.operators[1].inputs = [
        *plan.operators[1].inputs,
        *(i for i in plan.operators[0].inputs if i not in plan.inputs),
    ]
    assert with_rows(packed(graph), schema) == packed(graph)


@pytest.mark.parametrize("what", ["picture", "constant"])
def test_single_number_of_no_shape_is_added_as_it_is(shipped: bytes, what: str) -> None:
    graph = schema.ModelT.InitFromPackedBuf(bytearray(as_converted(shipped)), 0)
    plan = graph.subgraphs[0]
    for index in plan.operators[0].inputs:
        if (index in plan.inputs) == (what == "picture"):
            plan.tensors[index].shape = None
    model = packed(graph)
    assert with_rows(model, schema) == model
