"""The first convolution takes pixels as they are, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetl.exporter import calibration
from edgetl.exporter.lowering.lower import lowered
from edgetl.exporter.lowering.observing import ranges_of
from edgetl.exporter.lowering.quantizing import quantized
from edgetl.exporter.onnx_int8 import quantize
from edgetl.exporter.onnx_pixels import framing, take_pixels_as_they_are
from edgetl.exporter.onnx_variants import signed
from edgetl.exporter.quantization import Quantization
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.proof.of_onnx import prove_onnx
from tests.exporter.lowering.files import by_litert, by_onnx, node, write

SIDE = 12
SHAPE = (1, 3, SIDE, SIDE)
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
RANDOM = np.random.default_rng(5)

# Attributes of the stem, and how many rows and columns the picture has with its frame.
STEMS: dict[str, tuple[tuple[int, int], dict[str, Any], tuple[int, int]]] = {
    "stride 2, which leaves the last row out": ((3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}, (13, 13)),
    "padded below and right, as TensorFlow does": ((3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}, (13, 13)),
    "large": ((7, 7), {"pads": [3, 3, 3, 3], "strides": [1, 1]}, (18, 18)),
    "dilated, one axis padded": ((3, 1), {"pads": [2, 0, 2, 0], "dilations": [2, 1]}, (16, 12)),
    "patches": ((4, 4), {"strides": [4, 4]}, (12, 12)),
}


def stem(kernel: tuple[int, int], said: dict[str, Any], bias: bool = True) -> tuple[list[Any], dict[str, Any]]:
    """A net that adds the mean's negative, convolves, clips and says four logits."""
    nodes = [
        node("Add", "pixels shift", "centred"),
        node("Conv", "centred w b" if bias else "centred w", "maps", **said),
        node("Relu", "maps", "clipped"),
        node("GlobalAveragePool", "clipped", "mean"),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat head.w head.b", "logits", transB=1),
    ]
    # Weights on int8's steps, as the exporter leaves them.
    steps = RANDOM.integers(-126, 127, (8, 3, *kernel))
    steps.reshape(8, -1)[:, 0] = 127
    constants = {
        "shift": -MEAN.reshape(1, 3, 1, 1), "w": (steps * 1e-4).astype(np.float32),
        "head.w": RANDOM.normal(size=(4, 8)).astype(np.float32), "head.b": np.zeros(4, np.float32),
    }  # fmt: skip
    return nodes, constants | ({"b": RANDOM.normal(size=8).astype(np.float32)} if bias else {})


def pictures(count: int = 8) -> np.ndarray[Any, Any]:
    """Noise on grounds of all colours, and white with a black frame, where a wrong border shows most."""
    grounds = RANDOM.integers(0, 200, (count, 1, 1, 3)) + RANDOM.integers(0, 56, (count, SIDE, SIDE, 3))
    grounds[0] = 255
    grounds[0, [0, -1]] = grounds[0, :, [0, -1]] = 0
    return grounds.astype(np.uint8)  # type: ignore[no-any-return]


def floats(images: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return [image[None].astype(np.float32).transpose(0, 3, 1, 2) for image in images]


def rewritten(path: Path) -> Any:
    """The graph in a file after it was rewritten there."""
    model = onnx.load(str(path))
    assert take_pixels_as_they_are(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return model.graph


@pytest.mark.parametrize("kind", STEMS)
@pytest.mark.parametrize("bias", [True, False])
def test_answers_stay_the_same_borders_too(kind: str, bias: bool, tmp_path: Path) -> None:
    kernel, said, (rows, columns) = STEMS[kind]
    path, shown = write(tmp_path, *stem(kernel, said, bias), SHAPE), floats(pictures())
    wanted = by_onnx(path, shown)
    graph = rewritten(path)
    assert np.abs(np.array(by_onnx(path, shown)) - wanted).max() < 1e-5 * np.ptp(wanted)
    (layer,) = (n for n in graph.node if n.op_type == "Conv")
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.value_info)}
    assert shapes[layer.input[0]] == [1, 3, rows, columns], "no row more than windows reach"
    assert all(n.op_type != "Add" for n in graph.node) and all(c.name != "shift" for c in graph.initializer)
    assert np.abs(np.array(by_litert(lowered(path), shown)) - wanted).max() < 1e-4 * np.ptp(wanted)


@pytest.mark.parametrize("kind", STEMS)
def test_pixels_are_exact_in_both_files(kind: str, tmp_path: Path) -> None:
    kernel, said, _ = STEMS[kind]
    path, shown = write(tmp_path, *stem(kernel, said), SHAPE), pictures(16)
    rewritten(path)
    calibration.save(shown, tmp_path / "calibration.npy")
    graph = lowered(path)
    made = quantized(graph, ranges_of(graph, tmp_path / "calibration.npy", "mse"))
    for name, tensor in made.tensors.items():
        if name.startswith("pixels"):
            assert tensor.steps is not None and (tensor.steps.scale.item(), tensor.steps.zero.item()) == (1, -128), name
            if tensor.data is not None:
                colours = (tensor.data.astype(int) + 128).reshape(-1, 3)
                assert np.array_equal(colours, np.broadcast_to(np.rint(MEAN), colours.shape))
    quantize(tmp_path, Quantization(ranges="mse"))
    data = (tmp_path / "int8.onnx").read_bytes()
    proof = prove_onnx(data, "int8.onnx")
    assert not proof.islands and (proof.input.step, proof.input.zero) == (1.0, 0)
    stored = {c.name: numpy_helper.to_array(c) for c in onnx.load_from_string(data).graph.initializer}
    strips = [
        v.reshape(3, -1)
        for name, v in stored.items()
        if name.startswith("pixels_frame") and v.dtype == np.uint8 and v.size > 1
    ]
    assert all(np.array_equal(strip, np.broadcast_to(np.rint(MEAN)[:, None], strip.shape)) for strip in strips)
    assert bool(strips) == (kind != "patches")
    wanted = np.array(by_onnx(path, floats(shown))).reshape(len(shown), -1)
    files = [open_interpreter("onnxruntime", file, "int8.onnx") for file in (data, signed(data))]
    for found in (
        np.array(by_litert(made, floats(shown))).reshape(wanted.shape),
        *(np.stack([opened.logits(image) for image in shown]) for opened in files),
    ):
        assert np.abs(found - wanted).max() < 0.03 * np.ptp(wanted)


@pytest.mark.parametrize("kind", STEMS)
def test_first_convolution_may_stay_in_float(kind: str, tmp_path: Path) -> None:
    kernel, said, _ = STEMS[kind]
    path, shown = write(tmp_path, *stem(kernel, said), SHAPE), pictures(16)
    kept = ("node_maps", "node_clipped")
    rewritten(path)
    calibration.save(shown, tmp_path / "calibration.npy")
    graph = lowered(path)
    made = quantized(graph, ranges_of(graph, tmp_path / "calibration.npy", "mse"), kept)
    quantize(tmp_path, Quantization(ranges="mse", precision="mixed", kept=kept))
    data = (tmp_path / "mixed.onnx").read_bytes()
    proof = prove_onnx(data, "mixed.onnx", "mixed")
    assert (proof.input.type, proof.input.step, proof.input.zero) == ("uint8", 1.0, 0)
    assert "Conv" in {island.operator for island in proof.islands}
    wanted = np.array(by_onnx(path, floats(shown))).reshape(len(shown), -1)
    opened = open_interpreter("onnxruntime", data, "mixed.onnx")
    for found in (
        np.array(by_litert(made, floats(shown))).reshape(wanted.shape),
        np.stack([opened.logits(image) for image in shown]),
    ):
        assert np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)


LEFT_ALONE: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "nothing is added": ([node("Conv", "pixels w", "logits")], {"w": np.ones((4, 3, 3, 3), np.float32)}),
    "each channel by itself": (
        [node("Add", "pixels shift", "a"), node("Conv", "a w", "logits", group=3)],
        {"shift": -MEAN.reshape(1, 3, 1, 1), "w": np.ones((3, 1, 3, 3), np.float32)},
    ),
    "two convolutions": (
        [node("Add", "pixels shift", "a"), node("Conv", "a w", "b"), node("Conv", "a w", "c"), node("Mul", "b c", "logits")],
        {"shift": -MEAN.reshape(1, 3, 1, 1), "w": np.ones((4, 3, 3, 3), np.float32)},
    ),
    "another for each place": (
        [node("Add", "pixels shift", "a"), node("Conv", "a w", "logits")],
        {"shift": np.zeros(SHAPE, np.float32), "w": np.ones((4, 3, 3, 3), np.float32)},
    ),
    "scaled besides": (
        [node("Add", "pixels shift", "a"), node("Mul", "a half", "b"), node("Conv", "b w", "logits")],
        {"shift": -MEAN.reshape(1, 3, 1, 1), "half": np.float32(0.5), "w": np.ones((4, 3, 3, 3), np.float32)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_what_does_not_begin_so_is_left_alone(kind: str, tmp_path: Path) -> None:
    model = onnx.load(str(write(tmp_path, *LEFT_ALONE[kind], SHAPE)))
    before = model.SerializeToString(deterministic=True)
    assert not take_pixels_as_they_are(model)
    assert model.SerializeToString(deterministic=True) == before and framing(model.graph) == []
