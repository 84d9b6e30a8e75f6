"""Integers in the place of real numbers: their steps, and graphs that compute in them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import PrecisionError
from edgetl.exporter import calibration
from edgetl.exporter.lowering.graph import Graph, Steps
from edgetl.exporter.lowering.lower import lowered
from edgetl.exporter.lowering.numbers import INT8, INT16, quantized_layer
from edgetl.exporter.lowering.observing import ranges_of
from edgetl.exporter.lowering.quantizing import halved, in_int16, quantized
from edgetl.exporter.lowering.writing import packed
from edgetl.exporter.quantization import RangeRule
from tests.exporter.lowering.files import by_litert, node, write

SHAPE = (1, 3, 8, 8)
RANDOM = np.random.default_rng(2)


def of(scale: float, zero: int = 0) -> Steps:
    return Steps(np.array([scale], np.float32), np.array([zero]))


@pytest.mark.parametrize(
    ("within", "scale", "zero"),
    [((0.0, 6.0), 6 / 255, -128), ((-1.0, 1.0), 2 / 255, 0), ((2.0, 5.1), 5.1 / 255, -128), ((-2.55, -1.0), 0.01, 127), ((0.0, 0.0), 1.0, -128)],
)  # fmt: skip
def test_int8_steps_hold_the_range_and_zero(within: tuple[float, float], scale: float, zero: int) -> None:
    steps = INT8.steps(within)
    assert steps.scale[0] == pytest.approx(scale) and steps.zero.tolist() == [zero]


def test_int16_steps_lie_around_zero() -> None:
    steps = INT16.steps((-1.0, 3.2767))
    assert steps.scale[0] == pytest.approx(1e-4) and steps.zero.tolist() == [0]
    assert INT16.steps((0.0, 0.0)).scale[0] == 1.0


def test_constants_are_rounded_to_the_nearest_step() -> None:
    made = INT8.constant(np.array([[-123.675, -116.28, -103.53]], np.float32))
    assert made.steps is not None and made.data is not None and made.type == "int8" == made.data.dtype.name
    back = (made.data.astype(float) - made.steps.zero[0]) * made.steps.scale[0]
    assert np.abs(back - [[-123.675, -116.28, -103.53]]).max() <= 0.5 * made.steps.scale[0]


def test_each_channel_has_weights_of_its_own_steps() -> None:
    values = np.stack([np.linspace(-1, 1, 9), np.linspace(-100, 50, 9)]).astype(np.float32).reshape(2, 3, 3, 1)
    bias = np.array([0.5, -7.0], np.float32)
    stored, added = quantized_layer(values, bias, 0, of(0.1), of(0.2), INT8)
    assert stored.steps is not None and stored.data is not None and added.steps is not None and added.data is not None
    assert stored.data.min() == -127 and stored.data[0].max() == 127 and stored.type == "int8"
    assert stored.steps.axis == 0 and stored.steps.scale == pytest.approx([1 / 127, 100 / 127])
    assert added.type == "int32" and added.steps.scale == pytest.approx(stored.steps.scale * 0.1)
    assert added.data * added.steps.scale == pytest.approx(bias, abs=float(added.steps.scale.max()))


@pytest.mark.parametrize("weight", [0.0, 1e-30])
def test_channel_of_next_to_nothing_keeps_its_bias(weight: float) -> None:
    """A dead channel still adds what its batch norm left it."""
    values = np.full((1, 1, 1, 4), weight, np.float32)
    _, added = quantized_layer(values, np.array([3.3], np.float32), 0, of(0.02), of(0.05), INT8)
    assert added.data is not None and added.steps is not None
    assert 0 < added.data[0] < 1 << 31 and float(added.data[0] * added.steps.scale[0]) == pytest.approx(3.3, rel=1e-4)


def weights(*shape: int) -> Any:
    return RANDOM.normal(0, 0.3, shape).astype(np.float32)


NET = (
    [
        node("Add", "pixels shift", "centred"),
        node("Conv", "centred a.w a.b", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "first"),
        node("Conv", "first b.w b.b", "b", pads=[1, 1, 1, 1], group=8),
        node("HardSigmoid", "b", "gate", alpha=1 / 6),
        node("Mul", "first gate", "gated"),
        node("Concat", "gated first", "both", axis=1),
        node("MaxPool", "both", "small", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", "small c.w c.b", "c"),
        node("GlobalAveragePool", "c", "mean"),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat d.w d.b", "logits", transB=1),
    ],
    {
        "shift": np.array([-100, -120, -110], np.float32).reshape(1, 3, 1, 1), "a.w": weights(8, 3, 3, 3) / 100,
        "a.b": weights(8), "b.w": weights(8, 1, 3, 3), "b.b": weights(8), "c.w": weights(6, 16, 1, 1), "c.b": weights(6),
        "d.w": weights(5, 6) * 9, "d.b": weights(5),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def pictures(images: np.ndarray[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "calibration.npy"
    calibration.save(images, path)
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return lowered(write(tmp_path_factory.mktemp("net"), *NET, SHAPE))


def logits(made: Graph, images: np.ndarray[Any, Any], kernels: str = "AUTO") -> np.ndarray[Any, Any]:
    given = [image[None].astype(np.float32).transpose(0, 3, 1, 2) for image in images[:10]]
    return np.concatenate(by_litert(made, given, kernels))


def types(made: Graph) -> Counter[str]:
    return Counter(tensor.type for tensor in made.tensors.values())


@pytest.mark.parametrize("rule", ["min-max", "mse"])
@pytest.mark.parametrize("kernels", ["AUTO", "BUILTIN_REF"])
def test_graph_in_int8_answers_nearly_alike(
    graph: Graph, pictures: Path, images: np.ndarray[Any, Any], rule: Any, kernels: str
) -> None:
    made = quantized(graph, ranges_of(graph, pictures, rule))
    assert set(types(made)) == {"int8", "int32"}
    wanted, found = logits(graph, images), logits(made, images, kernels)
    assert np.abs(found - wanted).max() < 0.05 * np.ptp(wanted)
    (pixels,) = (made.tensors[name] for name in made.inputs)
    assert pixels.steps is not None and pixels.steps.scale.tolist() == [1] and pixels.steps.zero.tolist() == [-128]


def test_what_is_joined_has_the_steps_of_the_result(graph: Graph, pictures: Path) -> None:
    made = quantized(graph, ranges_of(graph, pictures, "min-max"))
    (joined,) = (o for o in made.operators if o.kind == "CONCATENATION")
    steps = [made.tensors[name].steps for name in (*joined.inputs, *joined.outputs)]
    assert all(one is not None and steps[0] is not None and one.like(steps[0]) for one in steps)
    # Only the gated maps have others; the first ones reach as far as both do.
    assert [o.kind for o in made.operators].count("QUANTIZE") == 1


def test_kept_layer_is_the_only_float_island(graph: Graph, pictures: Path, images: np.ndarray[Any, Any]) -> None:
    ranges = ranges_of(graph, pictures, "mse")
    made = quantized(graph, ranges, ["node_c"])
    kinds = [o.kind for o in made.operators]
    island = kinds.index("DEQUANTIZE")
    assert kinds[island : island + 3] == ["DEQUANTIZE", "CONV_2D", "QUANTIZE"] and kinds.count("DEQUANTIZE") == 1
    assert types(made)["float32"] == 4  # what it is given and gives, its weights and its biases
    assert made.tensors[made.outputs[0]].type == "int8"
    wanted = logits(graph, images)
    assert np.abs(logits(made, images) - wanted).max() < 0.05 * np.ptp(wanted)


def test_kept_layers_side_by_side_are_not_rounded_between(graph: Graph, pictures: Path) -> None:
    made = quantized(graph, ranges_of(graph, pictures, "mse"), ["node_c", "node_mean", "node_logits"])
    kinds = [o.kind for o in made.operators]
    assert kinds[kinds.index("DEQUANTIZE") :] == ["DEQUANTIZE", "CONV_2D", "MEAN", "FULLY_CONNECTED", "QUANTIZE"]
    assert made.tensors[made.outputs[0]].type == "int8"


def test_graph_in_int16_takes_and_gives_floats(graph: Graph, pictures: Path, images: np.ndarray[Any, Any]) -> None:
    made = in_int16(graph, ranges_of(graph, pictures, "min-max"))
    kinds = [o.kind for o in made.operators]
    assert kinds[0] == "QUANTIZE" and kinds[-1] == "DEQUANTIZE"
    assert types(made)["float32"] == 2 and types(made)["int64"] == 4
    wanted = logits(graph, images)
    found = logits(made, images, "BUILTIN_REF")
    assert np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)  # of which the int8 weights make the most


def test_int16_cuts_nothing_off_that_calibration_did_not_show(
    graph: Graph, images: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """Calibrated in a third of the light: its int8 weights are all that is lost then, as with pictures that were seen."""
    dark = tmp_path / "dark.npy"
    calibration.save(images // 3, dark)
    wanted = logits(graph, images)

    def worst(rule: RangeRule) -> float:
        made = in_int16(graph, ranges_of(graph, dark, rule))
        return float(np.abs(logits(made, images, "BUILTIN_REF") - wanted).max() / np.ptp(wanted))

    assert worst("fourfold") < 0.02 < worst("min-max")


def test_halved_graph_stores_half_the_bytes(graph: Graph, images: np.ndarray[Any, Any]) -> None:
    made = halved(graph)
    data = packed(made)
    assert types(made)["float16"] >= 8 and len(data) < len(packed(graph)) + 2000
    wanted = logits(graph, images)
    assert np.abs(logits(made, images) - wanted).max() < 0.005 * np.ptp(wanted)


def test_operator_without_an_int8_form_is_named(tmp_path: Path, pictures: Path) -> None:
    nodes = [node("Conv", "pixels w", "x"), node("Abs", "x", "y"), node("Sqrt", "y", "logits")]
    graph = lowered(write(tmp_path, nodes, {"w": weights(3, 3, 1, 1)}, SHAPE))
    with pytest.raises(PrecisionError, match="operator SQRT of ONNX node node_logits has no form in TFLite: in int8"):
        quantized(graph, ranges_of(graph, pictures, "min-max"))


def test_operator_without_an_int8_form_stays_in_float_where_some_layers_do(
    tmp_path: Path, pictures: Path, images: Any
) -> None:
    nodes = [
        node("Conv", "pixels w", "x"),
        node("Abs", "x", "y"),
        node("Sqrt", "y", "z"),
        node("Conv", "z v", "logits"),
    ]
    graph = lowered(write(tmp_path, nodes, {"w": weights(3, 3, 1, 1), "v": weights(2, 3, 1, 1)}, SHAPE))
    made = quantized(graph, ranges_of(graph, pictures, "min-max"), kept=["node_logits"])
    assert made.tensors["z"].type == "float32" and made.tensors["y"].type == "int8"
    wanted = logits(graph, images)
    assert np.abs(logits(made, images) - wanted).max() < 0.05 * np.ptp(wanted)


@pytest.mark.parametrize("kernels", ["AUTO", "BUILTIN", "BUILTIN_REF"])
@pytest.mark.parametrize(("axes", "keeps"), [((1,), 1), ((2, 3), 0), ((3,), 0)])
def test_sum_is_the_same_by_all_kernels(
    tmp_path: Path, pictures: Path, images: Any, kernels: str, axes: tuple[int, ...], keeps: int
) -> None:
    """LiteRT's own SUM is wrong by half of its range in the reference kernels."""
    nodes = [node("Conv", "pixels w", "x"), node("ReduceSum", "x axes", "logits", keepdims=keeps)]
    graph = lowered(write(tmp_path, nodes, {"w": weights(4, 3, 1, 1), "axes": np.array(axes)}, SHAPE))
    made = quantized(graph, ranges_of(graph, pictures, "min-max"))
    wanted = logits(graph, images)
    assert np.abs(logits(made, images, kernels) - wanted).max() < 0.05 * np.ptp(wanted)


def test_sum_that_cancels_out_does_not_end_the_process(tmp_path: Path, pictures: Path, images: Any) -> None:
    """LiteRT aborts where a sum's step is 2^20 times finer than its operands'."""
    nodes = [node("Conv", "pixels w", "x"), node("Mul", "x minus", "y"), node("Add", "x y", "z"),
             node("Add", "z tiny", "s"), node("Add", "s x", "a"), node("Sub", "a x", "logits")]  # fmt: skip
    plain = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    graph = lowered(
        write(
            tmp_path,
            nodes,
            {"w": plain, "minus": np.float32(-1), "tiny": np.full((1, 3, 8, 8), 1e-7, np.float32)},
            SHAPE,
        )
    )
    made = quantized(graph, ranges_of(graph, pictures, "min-max"))
    assert np.isfinite(logits(made, images, "BUILTIN_REF")).all()


def test_zeros_that_are_added_do_not_coarsen_the_sum(tmp_path: Path, pictures: Path, images: Any) -> None:
    nodes = [node("Conv", "pixels w", "x"), node("Add", "x none", "logits")]
    weights_of_small = np.full((3, 3, 1, 1), 1e-8, np.float32)
    graph = lowered(write(tmp_path, nodes, {"w": weights_of_small, "none": np.zeros((1, 3, 8, 8), np.float32)}, SHAPE))
    made = quantized(graph, ranges_of(graph, pictures, "min-max"))
    wanted = logits(graph, images)
    assert np.abs(logits(made, images) - wanted).max() < 0.02 * np.ptp(wanted)


def test_no_tensor_is_left_that_nobody_reads(graph: Graph, pictures: Path) -> None:
    made = quantized(graph, ranges_of(graph, pictures, "mse"))
    used = {n for o in made.operators for n in (*o.inputs, *o.outputs)} | {*made.inputs, *made.outputs}
    assert set(made.tensors) == used - {""}


def test_same_graph_gives_the_same_bytes(graph: Graph, pictures: Path) -> None:
    first, second = (packed(quantized(graph, ranges_of(graph, pictures, "mse"))) for _ in range(2))
    assert first == second
