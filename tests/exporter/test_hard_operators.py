"""What the converters find hard in newer nets: gates by a hard sigmoid, and grouped convolutions right behind a sum."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.errors import ExportError
from edgetl.exporter import calibration, tflite
from edgetl.exporter.deployed import write_module
from edgetl.exporter.layers import matched, onnx_layers, torch_layers
from edgetl.exporter.onnx_int8 import folded
from edgetl.exporter.proving import fit_models
from edgetl.exporter.quantization import Quantization
from edgetl.exporter.simulation.graph import graph_of
from edgetl.runtime.graphs import TfliteGraph, TfliteOperator, read_tflite
from edgetl.runtime.interpreters import open_interpreter
from edgetl.runtime.manifest import ModelRecord
from edgetl.runtime.proof import Proofs, prove
from edgetl.trainer.network import pixels_of
from tests.exporter.simulation.nets import SIZE, pictures

pytestmark = pytest.mark.slow
CHANNELS = 6  # neither the height nor the width of any map below


class Hard(nn.Module):
    """MobileNetV3's gate and hard swish, then MobileNetV4's depthwise convolution and ResNeXt's grouped one, each with nothing
    but a sum before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, 2, 1), nn.Hardswish())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(CHANNELS, CHANNELS, 1), nn.Hardsigmoid())
        self.depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1, groups=CHANNELS)
        self.grouped = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1, groups=2)
        self.head = nn.Linear(CHANNELS, 4)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits."""
        first = self.stem((pixels - 128) / 64)
        second = first + first * self.gate(first)
        third = second + self.depthwise(second)
        return self.head((third + self.grouped(third)).mean(dim=(2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def net() -> Hard:
    torch.manual_seed(3)
    made = Hard().eval()
    with torch.no_grad():
        made.gate[1].weight.mul_(20)  # so that the gate reaches both of its ends
    return made


@pytest.fixture(scope="module")
def folder(net: Hard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The net's TFLite files, made by the converter's own process."""
    made = tmp_path_factory.mktemp("hard")
    write_module(net, SIZE, made / "model.onnx")
    calibration.save(pictures(16, seed=1).numpy(), made / "calibration.npy")
    tflite.convert(made, Quantization(ranges="mse"))
    return made


def answers(file: Path) -> NDArray[np.float32]:
    """Logits of ten pictures that calibrated nothing."""
    opened = open_interpreter("litert", file.read_bytes(), file.name)
    return np.stack([opened.logits(image) for image in pictures(10, seed=2).numpy()])


def kinds_in(file: Path) -> Counter[str]:
    return Counter(operator.kind for operator in read_tflite(file.read_bytes(), file.name).operators)


def test_float_file_is_the_network(net: Hard, folder: Path) -> None:
    with torch.no_grad():
        wanted = net(pixels_of(pictures(10, seed=2))).numpy()
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(answers(folder / "float32.tflite"), wanted, atol=1e-4 * np.abs(wanted).max())


def test_int8_file_answers_nearly_alike(net: Hard, folder: Path) -> None:
    with torch.no_grad():
        wanted = net(pixels_of(pictures(10, seed=2))).numpy()
    assert np.abs(answers(folder / "int8.tflite") - wanted).max() < 0.1 * (wanted.max() - wanted.min())


def test_depthwise_convolution_behind_a_sum_stays_depthwise(folder: Path) -> None:
    assert kinds_in(folder / "int8.tflite")["DEPTHWISE_CONV_2D"] == 1
    assert kinds_in(folder / "int8.tflite")["CONV_2D"] == 3  # stem, gate and the grouped one, in one piece


def test_layers_are_the_same_in_both_graphs(net: Hard, folder: Path) -> None:
    own, theirs = torch_layers(graph_of(net, SIZE)), onnx_layers(folded(folder))
    assert [layer.name for layer in own] == ["stem.0", "gate.1", "depthwise", "grouped", "head"]
    assert matched(own, theirs) == theirs
    another_branch_first = [theirs[0], theirs[2], theirs[1], *theirs[3:]]
    assert matched(own, another_branch_first) == theirs
    with pytest.raises(ExportError, match="conv2d depthwise with 54 weights in the network has no counterpart in ONNX"):
        matched(own, theirs[:2] + theirs[3:])
    with pytest.raises(ExportError, match=r"Gemm .* with 24 weights in ONNX has no counterpart in the network"):
        matched(own[:-1], theirs)


class Placed(nn.Module):
    """Adds an embedding of positions, which no picture changes, as vision transformers for devices do."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positions", torch.arange(3.0 * 8 * 8).view(1, 3, 8, 8) / 99)
        self.stem, self.embedding, self.partly = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(3, 4, 1), nn.Conv2d(2, 2, 3, 1, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits."""
        placed = self.embedding(self.positions.expand(pixels.shape[0], -1, -1, -1))
        one, other = torch.relu(self.stem(pixels) + placed).split(2, dim=1)
        return self.head(torch.cat((self.partly(one), other), dim=1).mean((2, 3)))  # type: ignore[no-any-return]


def test_layer_of_constants_is_no_layer_in_either_graph(tmp_path: Path) -> None:
    graph = graph_of(Placed().eval(), 32)
    write_module(graph, 32, tmp_path / "model.onnx")
    own, theirs = torch_layers(graph), onnx_layers(folded(tmp_path))
    assert [layer.name for layer in own] == ["stem", "partly", "head"]
    assert matched(own, theirs) == theirs


def test_hard_sigmoid_has_fast_kernels_in_int8(folder: Path) -> None:
    """As a ReLU6 of a sixth; TFLite's own clip from 0 to 1 is left to the CPU's plain kernels by some engines."""
    data = (folder / "int8.tflite").read_bytes()
    record = ModelRecord("model/int8.tflite", "tflite", "int8")
    proof = prove(data, "tflite", record.path)
    assert (
        proof.islands == () and kinds_in(folder / "int8.tflite")["MUL"] == 3
    )  # of pixels, of the gate and by the gate
    (found,) = fit_models([(record, folder / "int8.tflite")], Proofs((proof,)), None)
    assert found.missing == {} and found.falls_back == {"HARD_SWISH": 1}


@pytest.mark.parametrize("kernels", ["BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "AUTO"])
def test_litert_computes_a_hard_sigmoid_in_int8_to_the_nearest_step(folder: Path, kernels: str) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data = (folder / "int8.tflite").read_bytes()
    graph = read_tflite(data, "int8.tflite")
    lifting, line = _hard_sigmoid_of(graph)
    interpreter = Interpreter(
        model_content=data,
        experimental_op_resolver_type=OpResolverType[kernels],
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    tensors = {t["index"]: t for t in interpreter.get_tensor_details()}

    def real(index: int) -> NDArray[Any]:
        scale, zero = tensors[index]["quantization"]
        return (interpreter.get_tensor(index).astype(np.float64) - zero) * scale  # type: ignore[no-any-return]

    step = max(tensors[i]["quantization"][0] for i in (lifting.outputs[0], line.outputs[0]))
    cut = 0
    for image in pictures(10, seed=2).numpy():
        stored = image[None].astype(np.int16) - 128
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], stored.astype(np.int8))
        interpreter.invoke()
        given, found = real(lifting.inputs[0]), real(line.outputs[0])
        cut += int((np.abs(given) > 3).sum())
        assert np.abs(np.clip(given / 6 + 0.5, 0, 1) - found).max() <= step
    assert cut > 0


def _hard_sigmoid_of(graph: TfliteGraph) -> tuple[TfliteOperator, TfliteOperator]:
    """The addition that lifts and cuts, and the product with a sixth that is made of it."""
    makers = {o.outputs[0]: o for o in graph.operators}
    for line in graph.operators:
        if line.kind == "MUL" and all(graph.tensors[i].constant or i in makers for i in line.inputs):
            (lifting, *others) = (makers[i] for i in line.inputs if not graph.tensors[i].constant)
            if not others and lifting.kind == "ADD":
                return lifting, line
    raise AssertionError("no hard sigmoid")
