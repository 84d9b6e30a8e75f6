"""Weights put on int8's steps so that their layers' results change least."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter

from edgetl.exporter.lowering.graph import Steps
from edgetl.exporter.lowering.numbers import INT8, quantized_layer
from edgetl.exporter.simulation import weights
from edgetl.exporter.simulation.graph import bias_of, graph_of, layers_of, weight_of
from edgetl.exporter.simulation.rounding import Rounded, logits_of, rounded_weight
from edgetl.exporter.simulation.weights import round_weights
from tests.exporter.simulation.nets import SIZE, Attending, pictures, uneven


class Mixing(nn.Module):
    """Channels that say nearly the same, then a layer of every kind that mixes them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer = nn.Conv2d(3, 24, 3, padding=1), layer

    def forward(self, pixels: Tensor) -> Tensor:
        """The layer's results, as one row."""
        return self.layer(self.first(pixels / 255).relu()).flatten(1)  # type: ignore[no-any-return]


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "pointwise": lambda: nn.Conv2d(24, 8, 1),
    "three by three": lambda: nn.Conv2d(24, 8, 3, padding=1),
    "stride and dilation": lambda: nn.Conv2d(24, 8, 3, stride=2, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(24, 8, 3, groups=4),
    "depthwise": lambda: nn.Conv2d(24, 24, 5, padding=2, groups=24),
    "two of each channel": lambda: nn.Conv2d(24, 48, 3, padding=1, groups=24),
    "without bias": lambda: nn.Conv2d(24, 8, 1, bias=False),
    "linear": lambda: nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(24 * 16, 8)),
}


def mixing(kind: str, seed: int = 1) -> GraphModule:
    """The graph of such a net, whose first layer is exact in int8."""
    torch.manual_seed(seed)
    net = Mixing(LAYERS[kind]()).eval()
    with torch.no_grad():
        first = net.first.weight
        first.copy_(rounded_weight(first.mean(0, keepdim=True) + 0.1 * first))
    return graph_of(net, SIZE)


def error(graph: GraphModule, exact: Tensor, shown: Tensor) -> float:
    """The mean squared error that rounding weights alone brings, without the shift that a bias takes off, where there is one."""
    wrong = logits_of(Rounded(graph, {}), shown) - exact
    return float((wrong if bias_of(graph, layers_of(graph)[1]) is None else wrong - wrong.mean(0)).square().mean())


@pytest.mark.parametrize("kind", LAYERS)
def test_results_change_less_than_by_the_nearest_steps(kind: str) -> None:
    graph, seen, shown = mixing(kind), pictures(64, seed=1), pictures(64, seed=2)
    exact = logits_of(Interpreter(graph), shown)
    nearest = error(graph, exact, shown)
    round_weights(graph, seen)
    assert error(graph, exact, shown) < 0.5 * nearest


@pytest.mark.parametrize("net", [uneven, Attending], ids=["convolutions", "attention"])
def test_whoever_quantizes_the_weights_finds_the_same_steps(net: Callable[[], nn.Module]) -> None:
    graph = graph_of(net().eval(), SIZE)
    before = [weight_of(graph, layer).clone() for layer in layers_of(graph)]
    round_weights(graph, pictures(32))
    one = Steps(np.ones(1, np.float32), np.zeros(1, np.int64))
    for layer, old in zip(layers_of(graph), before, strict=True):
        weight = weight_of(graph, layer)
        assert torch.allclose(rounded_weight(weight), weight, rtol=1e-5, atol=0)
        assert torch.equal(weight.abs().flatten(1).amax(1), old.abs().flatten(1).amax(1)), "so are the steps"
        stored, _ = quantized_layer(weight.numpy(), np.zeros(len(weight), np.float32), 0, one, one, INT8)
        assert stored.data is not None and stored.steps is not None
        spread = stored.steps.scale.reshape(-1, *[1] * (weight.dim() - 1))
        assert np.allclose(stored.data * spread, weight.numpy(), rtol=1e-5, atol=1e-9)


def test_biases_take_the_shift_away() -> None:
    """Weights whose rounding errors all lie on one side, on inputs that are all positive."""
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Flatten()).eval()
    with torch.no_grad():
        net[2].weight.copy_((torch.randint(-20, 20, (6, 8, 1, 1)) + 0.4) / 127)  # type: ignore[operator]
        net[2].weight[:, 0] = 1.0  # type: ignore[index]
    graph, seen = graph_of(net, SIZE), pictures(32)
    exact = logits_of(Interpreter(graph), seen)
    shift = (logits_of(Rounded(graph, {}), seen) - exact).mean(0).abs()
    round_weights(graph, seen)
    left = (logits_of(Rounded(graph, {}), seen) - exact).mean(0).abs()
    assert left.mean() < 0.2 * shift.mean()


@pytest.mark.parametrize("kind", ["three by three", "stride and dilation", "grouped", "two of each channel"])
def test_windows_are_those_of_the_layer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all of them are looked at, weights times their mean are the mean result."""
    monkeypatch.setattr(weights, "PLACES", 2 * SIZE)
    graph, seen = mixing(kind), pictures(6)
    layer = layers_of(graph)[1]
    mean = weights._moments(graph, seen)[layer.name].mean
    weight, bias = weight_of(graph, layer), bias_of(graph, layer)
    assert bias is not None
    found = torch.einsum("goi,gi->go", weight.reshape(len(mean), -1, mean.shape[1]), mean).flatten() + bias
    with torch.no_grad():
        results = logits_of(Interpreter(graph), seen).view(len(seen), len(weight), -1)
    assert torch.allclose(found, results.mean(dim=(0, 2)), atol=1e-4)


def test_inputs_that_are_always_zero_and_layers_too_wide_to_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = mixing("pointwise")
    first, last = layers_of(graph)
    with torch.no_grad():
        weight_of(graph, first)[3:].zero_()
        bias = bias_of(graph, first)
        assert bias is not None
        bias[3:].fill_(-1.0)
    untouched = copy.deepcopy(graph)
    round_weights(graph, pictures(8))
    assert torch.isfinite(weight_of(graph, last)).all()
    monkeypatch.setattr(weights, "WIDEST", 2)
    round_weights(untouched, pictures(8))
    assert torch.equal(weight_of(untouched, last), rounded_weight(weight_of(mixing("pointwise"), last)))


def test_inputs_that_hardly_vary_around_a_large_value_are_told_apart_all_the_same() -> None:
    """In single precision, the mean of products less the products of means would be noise here, and of either sign."""
    generator = torch.Generator().manual_seed(0)
    parts = [1000 + 0.05 * torch.randn(2, 6, 400, generator=generator) for _ in range(3)]
    moments = weights.Moments.begun(parts[0])
    for part in parts:
        moments.add(part)
    together = torch.cat(parts, dim=2)
    for group, windows in enumerate(together.double()):
        assert torch.allclose(moments.mean[group].double(), windows.mean(1), rtol=1e-6)
        spread = moments.spread(centred=True)
        assert spread is not None
        assert torch.allclose(spread[group].double(), torch.cov(windows, correction=0), rtol=0, atol=2e-5)


def test_activations_that_are_no_numbers_leave_the_nearest_steps() -> None:
    graph = mixing("without bias")
    first, last = layers_of(graph)
    with torch.no_grad():
        weight_of(graph, first)[0, 0, 0, 0] = torch.inf
    wanted = rounded_weight(weight_of(graph, last))
    round_weights(graph, pictures(8))
    assert torch.equal(weight_of(graph, last), wanted)


def test_the_same_pictures_give_the_same_weights() -> None:
    one, other = (graph_of(uneven(), SIZE) for _ in range(2))
    for graph in (one, other):
        round_weights(graph, pictures(16))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
