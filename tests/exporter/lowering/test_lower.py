"""Each ONNX operator means in TFLite what it means in ONNX: LiteRT's answers beside onnxruntime's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import OperatorError
from edgetl.exporter.lowering.lower import lowered
from tests.exporter.lowering.files import SHAPE, by_litert, by_onnx, node, pictures, write

RANDOM = np.random.default_rng(1)


def weights(*shape: int) -> Any:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def conv(name: str, given: str, made: str, **attributes: Any) -> Any:
    return node("Conv", f"{given} {name}.w {name}.b", made, **attributes)


def conv_of(out: int, into: int, side: int = 3, name: str = "c") -> dict[str, Any]:
    return {f"{name}.w": weights(out, into, side, side), f"{name}.b": weights(out)}


def window(kind: str, side: int, stride: int, pads: list[int] | None = None, **more: Any) -> Any:
    pads = pads or [0, 0, 0, 0]
    return node(kind, "pixels", "logits", kernel_shape=[side, side], strides=[stride, stride], pads=pads, **more)


CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "convolution": ([conv("c", "pixels", "logits")], conv_of(4, 3)),
    "convolution without a bias": ([node("Conv", "pixels c.w", "logits")], {"c.w": weights(4, 3, 3, 3)}),
    "padded evenly": ([conv("c", "pixels", "logits", pads=[1, 1, 1, 1])], conv_of(4, 3)),
    "padded at the end only": ([conv("c", "pixels", "logits", pads=[0, 0, 1, 1], strides=[2, 2])], conv_of(4, 3)),
    "padded evenly, stride 2": ([conv("c", "pixels", "logits", pads=[1, 1, 1, 1], strides=[2, 2])], conv_of(4, 3)),
    "padded unevenly": ([conv("c", "pixels", "logits", pads=[2, 0, 1, 3])], conv_of(4, 3)),
    "with holes": ([conv("c", "pixels", "logits", pads=[2, 2, 2, 2], dilations=[2, 2])], conv_of(4, 3)),
    "depthwise": ([conv("c", "pixels", "logits", group=3, pads=[1, 1, 1, 1])], conv_of(3, 1)),
    "depthwise, twice as many": ([conv("c", "pixels", "logits", group=3)], conv_of(6, 1)),
    "grouped": ([conv("a", "pixels", "x"), conv("c", "x", "logits", group=2)], {**conv_of(4, 3, name="a"), **conv_of(6, 2)}),
    "clipped": ([conv("c", "pixels", "x"), node("Relu", "x", "logits")], conv_of(4, 3)),
    "clipped at 6, and read twice": (
        [conv("c", "pixels", "x"), node("Clip", "x lo hi", "y"), node("Add", "x y", "logits")],
        {**conv_of(4, 3), "lo": np.float32(0), "hi": np.float32(6)},
    ),
    "clipped from -1 to 1": ([node("Clip", "pixels lo hi", "logits")], {"lo": np.float32(-1), "hi": np.float32(1)}),
    "clipped at other ends": ([node("Clip", "pixels lo hi", "logits")], {"lo": np.float32(-0.5), "hi": np.float32(2)}),
    "clipped from below": ([node("Clip", "pixels lo", "logits")], {"lo": np.float32(0)}),
    "largest, padded behind a clip": ([node("Relu", "pixels", "x"), node("MaxPool", "x", "logits", kernel_shape=[3, 3],
                                       strides=[2, 2], pads=[1, 1, 1, 1])], {}),
    "largest": ([window("MaxPool", 2, 2)], {}),
    "largest, padded": ([window("MaxPool", 3, 2, [1, 1, 1, 1])], {}),
    "largest, rounded up": ([window("MaxPool", 2, 2, ceil_mode=1)], {}),
    "largest, padded as TensorFlow does": ([window("MaxPool", 3, 1, [1, 1, 1, 1])], {}),
    "mean of windows": ([window("AveragePool", 2, 2)], {}),
    "mean of windows, rounded up": ([window("AveragePool", 2, 2, ceil_mode=1)], {}),
    "mean of windows, zeros counted": ([window("AveragePool", 3, 2, [1, 1, 1, 1], count_include_pad=1)], {}),
    "mean of windows, zeros not counted": ([window("AveragePool", 3, 1, [1, 1, 1, 1])], {}),
    "mean of all": ([node("GlobalAveragePool", "pixels", "logits")], {}),
    "largest of all": ([node("GlobalMaxPool", "pixels", "logits")], {}),
    "mean without its axes": ([node("ReduceMean", "pixels axes", "logits", keepdims=0)], {"axes": ints(2, 3)}),
    "mean of channels": ([node("ReduceMean", "pixels axes", "logits", keepdims=0)], {"axes": ints(1)}),
    "mean of rows": ([node("ReduceMean", "pixels axes", "logits", keepdims=1)], {"axes": ints(-2)}),
    "sum": ([node("ReduceSum", "pixels axes", "logits", keepdims=0)], {"axes": ints(3)}),
    "head": (
        [node("GlobalAveragePool", "pixels", "x"), node("Flatten", "x", "y"), node("Gemm", "y w b", "logits", transB=1)],
        {"w": weights(5, 3), "b": weights(5)},
    ),
    "linear, scaled and not turned": (
        [node("GlobalMaxPool", "pixels", "x"), node("Flatten", "x", "y"), node("Gemm", "y w b", "logits", alpha=0.5, beta=2.0)],
        {"w": weights(3, 5), "b": weights(5)},
    ),
    "all places in a row": ([node("Flatten", "pixels", "y"), node("Gemm", "y w", "logits")], {"w": weights(216, 4)}),
    "tokens": (
        [node("Reshape", "pixels s", "x"), node("Transpose", "x", "y", perm=[0, 2, 1]), node("MatMul", "y w", "z"),
         node("Add", "b z", "logits")],
        {"s": ints(1, 3, 72), "w": weights(3, 6), "b": weights(6)},
    ),
    "tokens, added to unevenly": (
        [node("Reshape", "pixels s", "x"), node("Transpose", "x", "y", perm=[0, 2, 1]), node("MatMul", "y w", "z"),
         node("Add", "z b", "logits")],
        {"s": ints(1, 3, 72), "w": weights(3, 6), "b": weights(72, 1)},
    ),
    "attention": (
        [node("Reshape", "pixels s", "x"), node("Transpose", "x", "y", perm=[0, 2, 1]), node("MatMul", "y x", "z"),
         node("Softmax", "z", "p", axis=-1), node("MatMul", "p y", "logits")],
        {"s": ints(1, 3, 72)},
    ),
    "norm of tokens": (
        [node("Reshape", "pixels s", "x"), node("Transpose", "x", "y", perm=[0, 2, 1]),
         node("LayerNormalization", "y g b", "logits", axis=-1, epsilon=1e-6)],
        {"s": ints(1, 3, 72), "g": weights(3), "b": weights(3)},
    ),
    "norm of channels": (
        [node("Transpose", "pixels", "x", perm=[0, 2, 3, 1]), node("LayerNormalization", "x g", "y", axis=3),
         node("Transpose", "y", "logits", perm=[0, 3, 1, 2])],
        {"g": weights(3)},
    ),
    "norm of rows": ([node("LayerNormalization", "pixels g b", "logits", axis=-1)], {"g": weights(8), "b": weights(8)}),
    "batch norm": (
        [node("BatchNormalization", "pixels g b m v", "logits")],
        {"g": weights(3), "b": weights(3), "m": weights(3), "v": np.abs(weights(3)) + 0.1},
    ),
    "hard swish": ([node("HardSwish", "pixels", "logits")], {}),
    "hard swish in two": ([node("HardSigmoid", "pixels", "x", alpha=1 / 6), node("Mul", "x pixels", "logits")], {}),
    "gate that is none of its own": (
        [node("GlobalAveragePool", "pixels", "m"), node("HardSigmoid", "m", "x", alpha=1 / 6), node("Mul", "x pixels", "logits")],
        {},
    ),
    "hard sigmoid of another slope": ([node("HardSigmoid", "pixels", "logits", alpha=0.2, beta=0.4)], {}),
    "swish": ([node("Sigmoid", "pixels", "x"), node("Mul", "pixels x", "logits")], {}),
    "gelu": ([node("Gelu", "pixels", "logits")], {}),
    "gelu by tanh": ([node("Gelu", "pixels", "logits", approximate="tanh")], {}),
    "leaky": ([node("LeakyRelu", "pixels", "logits", alpha=0.1)], {}),
    "leaky by channel": ([node("PRelu", "pixels a", "logits")], {"a": weights(3, 1, 1)}),
    "unary": ([node("Tanh", "pixels", "x"), node("Exp", "x", "y"), node("Abs", "y", "z"), node("Sqrt", "z", "u"),
               node("Elu", "u", "v"), node("Neg", "v", "logits")], {}),
    "constant of each channel": ([node("Mul", "pixels a", "logits")], {"a": weights(1, 3, 1, 1)}),
    "constant of fewer axes": ([node("Sub", "pixels a", "logits")], {"a": weights(3, 1, 1)}),
    "constant of columns": ([node("Add", "a pixels", "logits")], {"a": weights(8)}),
    "constant of the whole picture": ([node("Add", "pixels a", "logits")], {"a": weights(1, 3, 9, 8)}),
    "divided": ([node("Div", "pixels a", "logits")], {"a": np.float32(2.5)}),
    "squared": ([node("Pow", "pixels a", "logits")], {"a": np.float32(2)}),
    "larger of two": ([node("Neg", "pixels", "x"), node("Max", "x pixels", "y"), node("Min", "y a", "logits")], {"a": np.float32(1)}),
    "two orders": (
        [node("Transpose", "pixels", "x", perm=[0, 1, 3, 2]), node("Reshape", "pixels s", "y"), node("Mul", "x y", "logits")],
        {"s": ints(1, 3, 8, 9)},
    ),
    "fewer axes beside more": (
        [node("ReduceMean", "pixels axes", "x", keepdims=0), node("Add", "pixels x", "logits")], {"axes": ints(0, 1)},
    ),
    "joined": ([node("Neg", "pixels", "x"), node("Concat", "x pixels", "logits", axis=1)], {}),
    "joined with a constant": ([node("Concat", "a pixels", "logits", axis=-2)], {"a": weights(1, 3, 2, 8)}),
    "cut": ([node("Slice", "pixels s e a", "logits")], {"s": ints(1, -6), "e": ints(3, 100), "a": ints(1, 3)}),
    "every second": (
        [node("Slice", "pixels s e a t", "logits")], {"s": ints(1), "e": ints(9), "a": ints(2), "t": ints(2)},
    ),
    "parted": ([node("Split", "pixels n", "x y", axis=1), node("Concat", "y x", "logits", axis=1)], {"n": ints(1, 2)}),
    "one place": ([node("Gather", "pixels i", "logits", axis=1)], {"i": np.array(-1)}),
    "some places": ([node("Gather", "pixels i", "logits", axis=2)], {"i": ints(3, 0, -1)}),
    "axes gone and come": ([node("Unsqueeze", "pixels a", "x"), node("Squeeze", "x b", "logits")], {"a": ints(2), "b": ints(0, 2)}),
    "shuffled channels": (
        [conv("c", "pixels", "v"), node("Reshape", "v s", "x"), node("Transpose", "x", "y", perm=[0, 2, 1, 3, 4]),
         node("Reshape", "y t", "logits")],
        {**conv_of(4, 3, 1), "s": ints(1, 2, 2, 9, 8), "t": ints(1, 4, 9, 8)},
    ),
    "zeros around": ([node("Pad", "pixels p", "logits")], {"p": ints(0, 0, 1, 2, 0, 1, 0, 3)}),
    "ones around some axes": ([node("Pad", "pixels p v a", "logits")], {"p": ints(1, 0, 0, 2), "v": np.float32(1), "a": ints(-1, 1)}),
    "shares of channels": ([node("Softmax", "pixels", "logits", axis=1)], {}),
    "length of channels": ([node("ReduceL2", "pixels a", "logits", keepdims=1)], {"a": ints(1)}),
    "length of pictures": ([node("ReduceL2", "pixels a", "logits", keepdims=0)], {"a": ints(2, 3)}),
    "repeated": ([node("ReduceMean", "pixels axes", "x"), node("Expand", "x s", "logits")], {"axes": ints(2), "s": ints(1, 3, 5, 8)}),
    "nearest": (
        [node("Resize", "pixels _ f", "logits", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "between": (
        [node("Resize", "pixels _ f", "logits", mode="linear", coordinate_transformation_mode="half_pixel")],
        {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "blocks": ([conv("c", "pixels", "x"), node("DepthToSpace", "x", "logits", blocksize=2)], conv_of(8, 3)),
    "left as it is": ([node("Identity", "pixels", "x"), node("Relu", "x", "logits")], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_litert_answers_as_onnxruntime_does(tmp_path: Path, name: str) -> None:
    path, given = write(tmp_path, *CASES[name]), pictures()
    graph = lowered(path)
    assert graph.tensors["pixels"].shape == (1, 9, 8, 3)
    wanted, found = by_onnx(path, given), by_litert(graph, given)
    assert np.ptp(wanted[0]) > 0 and wanted[0].shape == found[0].shape
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4 * float(np.abs(one).max()))


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ([node("Det", "pixels", "logits")], {}, "operator Det of ONNX node node_logits has no form in TFLite"),
        ([node("Elu", "pixels", "logits", alpha=0.3)], {}, "alpha is not 1"),
        ([node("Conv", "pixels pixels", "logits")], {}, "input 1 is no constant"),
        ([window("AveragePool", 3, 2, [1, 1, 1, 1])], {}, "no padding like its own"),
        ([node("Pad", "pixels p", "logits", mode="reflect")], {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, "of another kind than with one value around"),
        ([node("Slice", "pixels s e a t", "logits")], {"s": ints(8), "e": ints(0), "a": ints(2), "t": ints(-1)}, "backwards"),
        ([node("Max", "pixels pixels pixels", "logits")], {}, "of 3 values"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_tflite_has_not_is_named(tmp_path: Path, nodes: list[Any], constants: dict[str, Any], words: str) -> None:
    shape = (1, 3, 8, 8) if nodes[0].op_type in ("Det", "Conv") else SHAPE
    with pytest.raises(OperatorError, match=words) as caught:
        lowered(write(tmp_path, nodes, constants, shape))
    assert caught.value.kind == nodes[0].op_type and caught.value.node == "node_logits"


def test_shape_that_is_open_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [node("Relu", "pixels", "x"), node("Relu", "x", "logits")], {})
    import onnx

    model = onnx.load(str(path))
    del model.graph.value_info[:]
    onnx.save(model, str(path))
    with pytest.raises(OperatorError, match="its shape is not fixed"):
        lowered(path)


def kinds(graph: Any) -> list[str]:
    return [operator.kind for operator in graph.operators]


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("clipped", ["CONV_2D"]),
        ("clipped at 6, and read twice", ["CONV_2D", "RELU6", "ADD"]),
        ("padded evenly", ["CONV_2D"]),
        ("padded at the end only", ["PAD", "CONV_2D"]),
        ("padded evenly, stride 2", ["PAD", "CONV_2D"]),
        ("depthwise, twice as many", ["DEPTHWISE_CONV_2D", "TRANSPOSE"]),
        ("head", ["MEAN", "FULLY_CONNECTED"]),
        ("hard swish in two", ["HARD_SWISH", "TRANSPOSE"]),
        ("tokens", ["RESHAPE", "FULLY_CONNECTED"]),
        ("attention", ["RESHAPE", "TRANSPOSE", "BATCH_MATMUL", "SOFTMAX", "BATCH_MATMUL"]),
        ("norm of channels", ["MEAN", "SUB", "MUL", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "ADD", "TRANSPOSE"]),
    ],
)
def test_no_more_operators_than_it_takes(tmp_path: Path, name: str, operators: list[str]) -> None:
    found = kinds(lowered(write(tmp_path, *CASES[name])))
    # A picture comes out in ONNX's order, since here it is what the net gives.
    rest = found[:-1] if found[-1] == "TRANSPOSE" and operators[-1] != "TRANSPOSE" else found
    assert rest == operators
