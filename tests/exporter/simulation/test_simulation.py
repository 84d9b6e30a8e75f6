"""The network as a graph: folded, rounded, equalized, corrected, distilled, ranked."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter

from edgetl.errors import ExportError
from edgetl.exporter.deployed import write_module
from edgetl.exporter.simulation.distil import Schedule, distil
from edgetl.exporter.simulation.equalize import chains_of, equalize
from edgetl.exporter.simulation.graph import bias_of, graph_of, layers_of, rounded_nodes, weight_of
from edgetl.exporter.simulation.rounding import (
    Rounded,
    logits_of,
    observe,
    rounded_activation,
    rounded_weight,
    signal_to_noise_db,
)
from edgetl.exporter.simulation.sensitivity import most_sensitive, noise_of_layers
from edgetl.exporter.simulation.weights import round_weights
from edgetl.trainer.augment import PRESETS
from edgetl.trainer.network import pixels_of
from tests.exporter.simulation.nets import SIZE, Attending, pictures, uneven


@pytest.fixture(scope="module")
def graph() -> GraphModule:
    return graph_of(uneven(), SIZE)


def noise_db(graph: GraphModule, exact: Tensor, seen: Tensor, shown: Tensor, rule: str = "min-max") -> float:
    """Signal above noise of the graph's rounded logits, with ranges from `seen`."""
    ranges = observe(graph, seen, rule)  # type: ignore[arg-type]
    return signal_to_noise_db(exact, logits_of(Rounded(graph, ranges), shown))


def test_folded_graph_gives_the_nets_logits(graph: GraphModule) -> None:
    shown = pictures(5)
    with torch.no_grad():
        wanted = uneven()(pixels_of(shown))
    assert torch.allclose(logits_of(Interpreter(graph), shown), wanted, atol=1e-5)
    assert "batch_norm" not in str(graph.graph)


def test_rounded_nodes_are_what_int8_stores(graph: GraphModule) -> None:
    """Pixels' users: three clipped convolutions count once each, then two plain ones, the sum, the mean, the logits."""
    names = [str(node.target).split(".")[1] for node in rounded_nodes(graph)]
    assert names == ["hardtanh", "hardtanh", "conv2d", "relu", "conv2d", "add", "mean", "linear"]


def test_rounding_is_what_the_formats_say() -> None:
    weight = torch.tensor([[1.0, -0.5, 0.004], [0.1, 0.0, -0.2]])
    steps = torch.tensor([[1.0], [0.2]]) / 127
    assert torch.allclose(rounded_weight(weight), torch.round(weight / steps) * steps)
    values = rounded_activation(torch.tensor([-9.0, 0.0, 0.49, 5.0]), (-1.0, 1.55))
    assert torch.allclose(values, torch.tensor([-1.0, 0.0, 0.49, 1.55]), atol=1e-6)
    assert values[1] == 0.0


def test_simulation_is_what_onnxruntime_computes(tmp_path: Path) -> None:
    """The same calibration pictures, the same rule: the simulated logits agree with the file's to a few steps."""
    from edgetl.exporter import onnx_int8
    from edgetl.runtime.interpreters import open_interpreter

    graph = graph_of(uneven(spread=2), SIZE)
    seen, shown = pictures(16, seed=1), pictures(24, seed=2)
    ends = torch.stack([torch.zeros_like(seen[0]), torch.full_like(seen[0], 255)])  # as the converters are shown
    write_module(graph, SIZE, tmp_path / "model.onnx")
    np.save(tmp_path / "calibration.npy", seen.numpy())
    onnx_int8.quantize(tmp_path)
    model = open_interpreter("onnxruntime", (tmp_path / "int8.onnx").read_bytes(), "int8.onnx")
    found = torch.from_numpy(np.stack([model.logits(image) for image in shown.numpy()]))
    exact = logits_of(Interpreter(graph), shown)
    simulated = logits_of(Rounded(graph, observe(graph, torch.cat([ends, seen]), "min-max")), shown)
    noise = signal_to_noise_db(exact, found)
    assert signal_to_noise_db(found, simulated) > noise + 3, "nearer to the file than the file is to float"


def test_equalizing_keeps_the_net_and_lowers_the_noise(graph: GraphModule) -> None:
    seen, shown = pictures(64, seed=1), pictures(64, seed=2)
    exact = logits_of(Interpreter(graph), shown)
    before = noise_db(graph, exact, seen, shown)
    changed = copy.deepcopy(graph)
    equalize(changed, seen)
    assert signal_to_noise_db(exact, logits_of(Interpreter(changed), shown)) > 50
    assert noise_db(changed, exact, seen, shown) > before + 6
    assert not torch.equal(weight_of(changed, layers_of(changed)[0]), weight_of(graph, layers_of(graph)[0]))


def test_only_channels_that_a_scale_passes_through_are_in_a_chain(graph: GraphModule) -> None:
    made = [[layer.name for layer in chain.made_by] for chain in chains_of(graph)]
    used = [[layer.name for layer in chain.used_by] for chain in chains_of(graph)]
    # The stem, the depthwise layer, both sides of the sum together, and what is expanded; never pixels or logits.
    assert made == [["conv2d"], ["conv2d_1"], ["conv2d_2", "conv2d_4"], ["conv2d_3"]]
    assert used == [["conv2d_1"], ["conv2d_2"], ["conv2d_3", "linear"], ["conv2d_4"]]
    swish = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Conv2d(4, 4, 3), nn.Flatten())
    assert chains_of(graph_of(swish.eval(), SIZE)) == []


class Padding(nn.Module):
    """Pads by itself before strides, as nets do that TensorFlow trained; channels behind the stem are a hundredfold apart."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("shift", -120.0 * torch.ones(1, 3, 1, 1))
        self.value = value
        self.stem, self.deep = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, 2, groups=8)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.stem.weight.div_(120).mul_(torch.logspace(0, -2, 8).view(-1, 1, 1, 1))
            self.deep.weight.mul_(torch.logspace(0, 2, 8).view(-1, 1, 1, 1))
            self.stem.bias.zero_()  # type: ignore[union-attr]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits."""
        maps = self.stem(nn.functional.pad(pixels + self.shift, (0, 1, 0, 1))).relu()
        return self.head(self.deep(nn.functional.pad(maps, (0, 1, 0, 1), value=self.value)).mean((2, 3)))  # type: ignore[no-any-return]


def test_zeros_around_maps_round_nothing_and_let_scales_pass() -> None:
    torch.manual_seed(0)
    graph, seen, shown = graph_of(Padding(0.0).eval(), SIZE), pictures(32, seed=1), pictures(32, seed=2)
    kinds = [str(node.target).split(".")[1] for node in rounded_nodes(graph)]
    assert kinds == ["relu", "conv2d", "mean", "linear"], "neither the pads nor pixels less their mean"
    assert [[layer.name for layer in chain.used_by] for chain in chains_of(graph)] == [["conv2d_1"], ["linear"]]
    exact = logits_of(Interpreter(graph), shown)
    before = noise_db(graph, exact, seen, shown)
    equalize(graph, seen)
    assert signal_to_noise_db(exact, logits_of(Interpreter(graph), shown)) > 50
    assert noise_db(graph, exact, seen, shown) > before + 3


def test_ones_around_maps_let_no_scale_pass() -> None:
    graph = graph_of(Padding(1.0).eval(), SIZE)
    assert [[layer.name for layer in chain.used_by] for chain in chains_of(graph)] == [["linear"]]


def test_heads_of_attention_and_flattened_maps_are_equalized_and_rounded_too() -> None:
    """Their channels lie on other axes than those of maps, so that a mean or a scale must not be carried across."""
    torch.manual_seed(0)
    graph = graph_of(Attending().eval(), SIZE)
    seen = pictures(32)
    exact = logits_of(Interpreter(graph), seen)
    equalize(graph, seen)
    assert signal_to_noise_db(exact, logits_of(Interpreter(graph), seen)) > 50
    shift = (logits_of(Rounded(graph, {}), seen) - exact).mean(0).abs()
    before = {layer.name: bias_of(graph, layer).clone() for layer in layers_of(graph)}  # type: ignore[union-attr]
    round_weights(graph, seen)
    left = (logits_of(Rounded(graph, {}), seen) - exact).mean(0).abs()
    assert left.mean() < shift.mean()
    assert all(not torch.equal(bias_of(graph, layer), before[layer.name]) for layer in layers_of(graph))  # type: ignore[arg-type]


def test_distilling_lowers_the_noise_and_never_ends_worse(graph: GraphModule) -> None:
    seen, shown = pictures(32, seed=1), pictures(64, seed=2)
    exact = logits_of(Interpreter(graph), shown)
    ranges = observe(graph, seen, "min-max")
    student = copy.deepcopy(graph)
    before = noise_db(student, exact, seen, shown)
    found = distil(
        student, graph, pictures(128, seed=3), seen, ranges, PRESETS["none"],
        Schedule(epochs=10, batch=16, rate=2e-3), lambda: 1.0,
    )  # fmt: skip
    assert found.steps == found.of == 80
    assert found.after_db > found.before_db + 2
    assert noise_db(student, exact, seen, shown) > before + 1
    assert not any(p.requires_grad for p in student.parameters())


def test_distilling_again_gives_the_same_weights_to_the_bit(graph: GraphModule) -> None:
    """All that may change them is the time, which here there is enough of; another seed does change them."""
    seen = pictures(32, seed=1)
    ranges = observe(graph, seen, "min-max")

    def weights(seed: int) -> list[bytes]:
        student = copy.deepcopy(graph)
        schedule = Schedule(epochs=10, batch=16, rate=2e-3, seed=seed)
        found = distil(student, graph, pictures(64, seed=3), seen, ranges, PRESETS["none"], schedule, lambda: 1.0)
        assert found.after_db > found.before_db, "it came to something"
        return [weight_of(student, layer).detach().numpy().tobytes() for layer in layers_of(student)]

    first = weights(0)
    assert weights(0) == first and weights(1) != first


def test_distilling_that_only_harms_or_has_no_time_leaves_the_weights(graph: GraphModule) -> None:
    seen = pictures(16)
    ranges = observe(graph, seen, "min-max")
    for schedule, left in ((Schedule(rate=10.0), 1.0), (Schedule(), 0.0)):
        student = copy.deepcopy(graph)
        found = distil(student, graph, seen, seen, ranges, PRESETS["none"], schedule, lambda left=left: left)
        assert found.after_db == found.before_db
        assert found.steps == (found.of if left else 0)
        for ours, theirs in zip(layers_of(student), layers_of(graph), strict=True):
            assert torch.equal(weight_of(student, ours), weight_of(graph, theirs))


def test_the_layer_with_uneven_channels_is_the_most_sensitive(graph: GraphModule) -> None:
    seen = pictures(32)
    noise = noise_of_layers(graph, observe(graph, seen, "min-max"), seen)
    assert len(noise) == len(layers_of(graph)) == 6
    assert most_sensitive(noise, 0.1) == [0]
    assert most_sensitive([30.0, 10.0, 20.0, 40.0], 0.5) == [1, 2]


def test_net_without_a_graph_is_refused() -> None:
    class Fickle(nn.Module):
        """Its operators depend on the picture."""

        def forward(self, pixels: Tensor) -> Tensor:
            """Nothing that can be traced."""
            return pixels.flatten(1) if pixels.sum() > 0 else pixels

    with pytest.raises(ExportError, match="torch cannot trace this net"):
        graph_of(Fickle(), SIZE)
