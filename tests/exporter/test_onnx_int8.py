"""The int8 ONNX file: raw pixels in, and nothing outside itself."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.errors import ExportError
from edgetl.exporter.calibration import FEWEST
from edgetl.exporter.layers import onnx_layers
from edgetl.exporter.onnx_int8 import folded, quantize, take_raw_pixels
from edgetl.exporter.quantization import Quantization, RangeRule
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.manifest import Precision
from tests.exporter import graphs


def quantized_input(scale: float, zero: int) -> Any:
    """A graph that quantizes its input in that step, as onnxruntime writes it, and widens it again."""
    constants = [
        numpy_helper.from_array(np.array(scale, np.float32), "scale"),
        numpy_helper.from_array(np.array(zero, np.uint8), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["pixels", "scale", "zero"], ["stored"]),
        helper.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["real"]),
        helper.make_node("ReduceMean", ["real"], ["logits"], axes=[2, 3], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: Any, value: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": value})[0]


def test_pixels_take_the_place_of_quantized_ones() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    before = run(quantized_input(1.0, 0), image.astype(np.float32).transpose(0, 3, 1, 2))
    model = quantized_input(1.0, 0)
    take_raw_pixels(model)
    onnx.checker.check_model(model)
    assert np.array_equal(run(model, image), before)
    assert np.allclose(before[0], image[0].reshape(-1, 3).mean(axis=0), atol=1e-3)


@pytest.mark.parametrize(("scale", "zero"), [(0.99, 0), (1.0, 1), (1 / 255, 0), (2.0, 128)])
def test_step_that_is_not_one_pixel_value_is_refused(scale: float, zero: int) -> None:
    with pytest.raises(ExportError, match=f"zero point {zero}, not one pixel value"):
        take_raw_pixels(quantized_input(scale, zero))


@pytest.mark.slow
def test_layer_that_was_kept_in_float_computes_in_float(tmp_path: Path) -> None:
    graphs.written(tmp_path)
    kept = onnx_layers(folded(tmp_path))[0].name
    quantize(tmp_path, Quantization(precision="mixed", kept=(kept,)))
    model = (tmp_path / "mixed.onnx").read_bytes()
    plain, fast = (
        np.stack([opened.logits(image) for image in graphs.pictures()])
        for opened in (open_interpreter("onnxruntime", model, "mixed.onnx", 1, k) for k in ("reference", "fast"))
    )
    assert np.abs(fast - plain).max() < 1e-3 * np.ptp(plain)  # with its weights in int8 it would be 8 times as much


def test_rule_sets_every_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime's own calibrator is shown the fewest pictures; shown all of them, it makes the same file."""
    graphs.written_with_a_moved_mean(tmp_path)
    files = []
    for shown in (FEWEST, 1000):
        monkeypatch.setattr("edgetl.exporter.onnx_int8.FEWEST", shown)
        quantize(tmp_path, Quantization(ranges="mse"))
        files.append(hashlib.sha256((tmp_path / "int8.onnx").read_bytes()).hexdigest())
    assert files[0] == files[1]


@pytest.mark.parametrize(("rule", "precision", "most"), [("roomy", "int8", 0.01), ("fourfold", "int16", 0.005)])
def test_room_in_a_range_does_not_move_a_clip(
    tmp_path: Path, rule: RangeRule, precision: Precision, most: float
) -> None:
    """onnxruntime's tools leave a ReLU6 out, and its range alone cuts off: at 6, however much room others get."""
    graphs.written(tmp_path)
    quantize(tmp_path, Quantization(ranges=rule, precision=precision))
    made = (tmp_path / f"{precision}.onnx").read_bytes()
    assert "Clip" not in {node.op_type for node in onnx.load_model_from_string(made).graph.node}
    opened = open_interpreter("onnxruntime", made, f"{precision}.onnx")
    pixels = [image[None].astype(np.float32).transpose(0, 3, 1, 2) for image in graphs.pictures()]
    wanted = np.concatenate([run(onnx.load(str(tmp_path / "model.onnx")), given) for given in pixels])
    found = np.stack([opened.logits(image) for image in graphs.pictures()])
    assert np.abs(found - wanted).max() < most * np.ptp(wanted)


@pytest.fixture(scope="session")
def graph(small_bundle: Path) -> Any:
    with zipfile.ZipFile(small_bundle) as archive:
        return onnx.load_model_from_string(archive.read("model/int8.onnx"))


def tensors_of(graph: Any) -> Iterator[Any]:
    """Every tensor in a graph and in the graphs inside it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from tensors_of(inner)


def test_shipped_graph_takes_raw_pixels(graph: Any) -> None:
    assert len(graph.graph.input) == len(graph.graph.output) == 1
    kind = graph.graph.input[0].type.tensor_type
    assert kind.elem_type == TensorProto.UINT8
    assert [d.dim_value for d in kind.shape.dim] == [1, 64, 64, 3]


def test_shipped_graph_points_to_nothing_outside_itself(graph: Any) -> None:
    tensors = list(tensors_of(graph.graph))
    assert len(tensors) > 100
    for tensor in tensors:
        assert tensor.data_location == TensorProto.DEFAULT and not tensor.external_data, tensor.name


def test_weights_of_shipped_convolutions_are_int8(graph: Any) -> None:
    kinds = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    made_by = {output: node for node in graph.graph.node for output in node.output}
    seen: Counter[int] = Counter()
    for node in graph.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            weights = made_by[node.input[1]]
            assert weights.op_type == "DequantizeLinear", node.name
            seen[kinds[weights.input[0]]] += 1
    assert set(seen) == {TensorProto.INT8}
    assert seen.total() > 40
