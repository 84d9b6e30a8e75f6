"""Multiply-accumulates and bytes are those that can be counted by hand, and alike in both formats of one network."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgetl.benchmarks.roofline.products import COLUMNS, INNER, MACS, ROWS, onnx_product, tflite_product
from edgetl.errors import ModelError
from edgetl.runtime.graphs.work import work_of
from tests.runtime import tiny


def convolution(groups: int, told: bool = True) -> bytes:
    """A float convolution of 8×8 by 3×3, 4 to 6 channels, stride 2, then a ReLU, as ONNX."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    kernel = np.zeros((6, 4 // groups, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["in", "kernel"], ["between"], strides=[2, 2], pads=[1, 1, 1, 1], group=groups),
        helper.make_node("Relu", ["between"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "conv",
        [helper.make_tensor_value_info("in", kind, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("out", kind, [1, 6, 4, 4] if told else None)],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )  # fmt: skip
    if told:
        graph.value_info.append(helper.make_tensor_value_info("between", kind, [1, 6, 4, 4]))
    made: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    return made


@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_is_counted_by_its_outputs_and_kernel(groups: int) -> None:
    found = work_of(convolution(groups), "c.onnx")
    conv, relu = found.operators
    weights = 6 * (4 // groups) * 9
    assert conv.macs == 4 * 4 * weights and not conv.int8
    assert conv.bytes == 4 * (4 * 64 + weights + 6 * 16)
    assert (relu.macs, relu.bytes) == (0, 4 * 2 * 6 * 16)
    assert found.working_set == 4 * (weights + 4 * 64 + 6 * 16)


def test_file_that_does_not_say_its_shapes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"does not say the shape of '(between|out)'"):
        work_of(convolution(1, told=False), "c.onnx")
    with pytest.raises(ModelError, match="open dimension"):
        work_of(tiny.tflite(shape=(1, -1, 32, 3)), "open.tflite")


@pytest.mark.parametrize(("make", "int8"), [(tflite_product, "int8"), (onnx_product, "int8")])
def test_product_of_matrices_is_counted_in_both_formats(make: object, int8: str) -> None:
    assert callable(make)
    small, large = work_of(make(int8), "p"), work_of(make("float32"), "p")
    assert small.macs == large.macs == MACS
    moved = ROWS * INNER + INNER * COLUMNS + ROWS * COLUMNS
    assert (small.bytes, large.bytes) == (moved, 4 * moved)
    assert [o.int8 for o in small.operators] == [True] and [o.int8 for o in large.operators] == [False]


def test_known_network_has_the_work_that_its_authors_give(data_root: Path) -> None:
    path = data_root / "reference/tf2_mobilenet_v2_1.0_224_ptq.tflite"
    found = work_of(path.read_bytes(), path.name)
    assert 299e6 < found.macs < 302e6  # "300M multiply-adds", for 224 px and 1,000 classes
    assert sum(o.macs for o in found.operators if o.kind == "DEPTHWISE_CONV_2D") < 0.1 * found.macs


def test_formats_of_one_network_agree(small_bundle: Path) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        works = {n: work_of(archive.read(n), n) for n in archive.namelist() if n.startswith("model/")}
    assert len({work.macs for work in works.values()}) == 1
    assert works["model/float32.tflite"].bytes > 3 * works["model/int8.tflite"].bytes
    assert works["model/int8.onnx"].bytes == pytest.approx(works["model/int8.tflite"].bytes, rel=0.2)  # PAD, Transpose
