"""Our reader of ONNX files sees what the onnx package sees."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import ModelError
from edgetl.runtime.graphs import read_onnx
from tests.runtime import tiny

onnx = pytest.importorskip("onnx", reason="needs onnx to compare with")


def compare(data: bytes) -> int:
    """Compares everything that both readers know; returns the number of nodes."""
    from onnx import helper, numpy_helper

    ours, graph = read_onnx(data, "m.onnx"), onnx.load_model_from_string(data).graph
    for mine, other in zip(ours.nodes, graph.node, strict=True):
        assert (mine.kind, mine.name) == (other.op_type, other.name)
        assert (mine.inputs, mine.outputs) == (tuple(other.input), tuple(other.output))
        integers = {a.name: a.i for a in other.attribute if a.type == onnx.AttributeProto.INT}
        assert {k: mine.integers.get(k, 0) for k in integers} == integers
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    assert {k: (c.type, c.shape) for k, c in ours.constants.items()} == {
        k: (v.dtype.name, v.shape) for k, v in constants.items()
    }
    for name, values in ours.values.items():
        assert values == tuple(constants[name].reshape(-1).astype(float).tolist()), name
    for mine_ports, ports in ((ours.inputs, graph.input), (ours.outputs, graph.output)):
        found = [(p.name, p.type, p.shape) for p in mine_ports]
        assert found == [
            (p.name, helper.tensor_dtype_to_np_dtype(p.type.tensor_type.elem_type).name, shape(p)) for p in ports
        ]
    return len(ours.nodes)


def shape(port: Any) -> tuple[int, ...]:
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in port.type.tensor_type.shape.dim)


def test_model_of_a_bundle(small_bundle: Path) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        assert compare(archive.read("model/int8.onnx")) > 200


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), ("n", 32, 32, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_small_models(shape: tuple[int | str, ...], dtype: str) -> None:
    assert compare(tiny.onnx(shape, dtype)) == 2


@pytest.mark.parametrize("raw", [True, False])
def test_constants_are_read_wherever_they_stand(raw: bool) -> None:
    from onnx import TensorProto, helper, numpy_helper

    arrays = {"a": np.float32([1.5, -2]), "b": np.int8([-128, 127]), "c": np.uint8([0, 255]),
              "d": np.int32([-(2**31), 7]), "e": np.int64([-(2**62), 3])}  # fmt: skip
    made = [
        numpy_helper.from_array(v, k)
        if raw
        else helper.make_tensor(k, helper.np_dtype_to_tensor_dtype(v.dtype), [2], v)
        for k, v in arrays.items()
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "a"], ["y"])], "g", ports[:1], ports[1:], made)
    assert compare(helper.make_model(graph).SerializeToString()) == 1


@pytest.mark.fault("M4")
@pytest.mark.parametrize("location", ["w.bin", "../w.bin", "sub/../../w.bin", "/etc/hostname"])
@pytest.mark.parametrize("place", ["constant", "attribute", "inner graph", "function", "sparse"])
def test_tensor_in_another_file_is_refused_wherever_it_stands(location: str, place: str) -> None:
    """By our own reading of the file: no interpreter has seen the path."""
    with pytest.raises(ModelError, match=r"m\.onnx: (bias|a tensor) takes its values from another file") as caught:
        read_onnx(outside(location, place), "m.onnx")
    assert repr(location) in str(caught.value)


def outside(location: str, place: str) -> bytes:
    """A model with one tensor in a file of that path."""
    from onnx import TensorProto, helper

    tensor = TensorProto(name="bias", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.append(helper.make_attribute("value", tensor))
    inner = helper.make_graph([constant], "inner", [], [])
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], [tensor] if place == "constant" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if place == "attribute":
        model.graph.node.insert(0, constant)
    if place == "inner graph":
        model.graph.node.insert(0, helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
    if place == "function":
        model.functions.append(helper.make_function("d", "f", [], ["c"], [constant], model.opset_import))
    if place == "sparse":
        sparse = model.graph.sparse_initializer.add()
        sparse.values.CopyFrom(tensor)
    made: bytes = model.SerializeToString()
    return made


@pytest.mark.parametrize(
    "data", [b"", b"\x08", bytes(300), tiny.onnx()[:40], tiny.onnx()[:-10], b"\x3a\xff\xff\xff\x7f"]
)
def test_damaged_file_is_a_model_error_on_one_line(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"^m\.onnx: "):
        read_onnx(data, "m.onnx")


def test_any_bytes_end_soon_in_a_graph_or_a_model_error() -> None:
    good, outcomes = tiny.onnx(), {True: 0, False: 0}
    for position in range(len(good)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            try:
                read_onnx(good[:position] + bytes([value]) + good[position + 1 :], "m.onnx")
                outcomes[True] += 1
            except ModelError:
                outcomes[False] += 1
    assert min(outcomes.values()) > 50, outcomes
