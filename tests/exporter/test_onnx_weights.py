"""An ONNX graph with exchanged weights is the one that torch would have exported, to the byte."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from edgetl.exporter.deployed import Deployed, write_module
from edgetl.exporter.onnx_weights import write_exchanged
from edgetl.exporter.simulation.graph import graph_of
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network

SIZE = 32


def network() -> Network:
    torch.manual_seed(0)
    return Network(describe("resnet_tiny"), 3, SIZE).eval()


@pytest.fixture(scope="module")
def graph() -> GraphModule:
    net = network()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias)
    return graph_of(Deployed(net), SIZE)


def changed(graph: GraphModule) -> GraphModule:
    other = copy.deepcopy(graph)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    return other


def test_exchanged_weights_give_the_bytes_of_an_export(graph: GraphModule, tmp_path: Path) -> None:
    other = changed(graph)
    write_module(graph, SIZE, tmp_path / "graph.onnx")
    write_module(other, SIZE, tmp_path / "other.onnx")
    assert write_exchanged(tmp_path / "graph.onnx", graph, other, tmp_path / "exchanged.onnx")
    assert (tmp_path / "exchanged.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()
    assert (tmp_path / "other.onnx").read_bytes() != (tmp_path / "graph.onnx").read_bytes()


class WithoutAutocast(nn.Module):
    """A part of it stands in torch's graph as a graph of its own, as an attention that guards its precision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits."""
        with torch.autocast("cpu", enabled=False):
            maps = self.conv(pixels / 255).relu()
        return maps.mean((2, 3))


def test_graph_with_a_graph_in_it_has_weights_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = graph_of(WithoutAutocast().eval(), SIZE)
    assert any(isinstance(part, GraphModule) for part in graph.children())
    other = changed(graph)
    write_module(graph, SIZE, tmp_path / "graph.onnx")
    if write_exchanged(tmp_path / "graph.onnx", graph, other, tmp_path / "exchanged.onnx"):
        write_module(other, SIZE, tmp_path / "other.onnx")
        assert (tmp_path / "exchanged.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()


def test_weights_that_torch_left_out_cannot_be_exchanged(tmp_path: Path) -> None:
    """Biases of zero, as a net has them that never learned."""
    graph = graph_of(Deployed(network()), SIZE)
    write_module(graph, SIZE, tmp_path / "graph.onnx")
    assert not write_exchanged(tmp_path / "graph.onnx", graph, changed(graph), tmp_path / "exchanged.onnx")


def test_file_with_other_weights_than_it_should_have_is_left_alone(graph: GraphModule, tmp_path: Path) -> None:
    other = changed(graph)
    write_module(other, SIZE, tmp_path / "other.onnx")
    assert not write_exchanged(tmp_path / "other.onnx", graph, other, tmp_path / "exchanged.onnx")
    assert not (tmp_path / "exchanged.onnx").exists()
