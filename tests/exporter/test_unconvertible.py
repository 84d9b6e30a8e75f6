"""A net that cannot be converted: the message names the operator and the layer it is in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgetl.errors import ExportError
from edgetl.exporter import tflite
from edgetl.exporter.deployed import write_onnx
from edgetl.exporter.unconvertible import cause_in_run, layer_name
from edgetl.runtime.graphs import TfliteGraph, TfliteOperator, TfliteTensor
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network


def test_operator_without_a_kernel_is_named_with_its_layer() -> None:
    tensors = tuple(TfliteTensor(name, "int16", (1,), (), (), False) for name in ("pixels", "norm/Squared", "logits"))
    operators = TfliteOperator("SQUARED_DIFFERENCE", (0, 0), (1,)), TfliteOperator("MEAN", (1,), (2,))
    graph = TfliteGraph(tensors, operators, (0,), (2,))
    said = (
        "model/int16.tflite: inference failed: only FLOAT32 and INT32 now, got 7.Node number {} ({}) failed to invoke."
    )
    assert cause_in_run(said.format(0, "SQUARED_DIFFERENCE"), graph) == (
        "LiteRT has no kernel for operator SQUARED_DIFFERENCE in int16 (layer norm/Squared)"
    )
    for other in (said.format(1, "SQUARED_DIFFERENCE"), said.format(9, "MEAN"), "no memory"):
        assert cause_in_run(other, graph) is None


def test_layer_is_the_innermost_module() -> None:
    assert layer_name("['', 'net.blocks', 'net.blocks.3', 'linalg_det']") == "blocks.3"
    assert layer_name("['', 'add']") == layer_name(None) == layer_name("[[") == "the network itself"


class Odd(nn.Module):
    """A layer whose operator one of the converters does not have."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """The maps, by way of that operator."""
        return torch.special.bessel_j0(maps) if self.kind == "no ONNX form" else torch.fft.rfft(maps).abs()


def network(kind: str) -> Network:
    torch.manual_seed(0)
    made = Network(describe("resnet_tiny"), 4, 32)
    made.net.layer2 = Odd(kind)
    made.net.layer3 = made.net.layer4 = nn.Identity()
    made.net.fc = nn.LazyLinear(4)
    made.eval()(torch.zeros(1, 3, 32, 32))
    return made


def test_torch_operator_without_an_onnx_form(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        write_onnx(network("no ONNX form"), 32, tmp_path / "model.onnx")
    assert "ONNX has no operator prims.bessel_j0 (layer layer2); choose another --model" in str(caught.value)
    assert "\n" not in str(caught.value) and not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
def test_onnx_operator_that_the_tflite_converter_lacks(tmp_path: Path) -> None:
    write_onnx(network("no TFLite form"), 32, tmp_path / "model.onnx")
    np.save(tmp_path / "calibration.npy", np.zeros((4, 32, 32, 3), np.uint8))
    with pytest.raises(ExportError) as caught:
        tflite.convert(tmp_path)
    message = str(caught.value)
    assert "operator for DFT of layer layer2" in message and "choose another --model" in message
    assert f"its log is {tmp_path / 'tflite.log'}" in message and "\n" not in message
