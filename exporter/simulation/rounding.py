"""int8 as TFLite and onnxruntime compute it, simulated in float: weights per channel, activations per tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from edgetl.exporter.quantization import RangeRule
from edgetl.exporter.ranges import STEPS, Histogram, Range, range_of
from edgetl.exporter.simulation.graph import LAYERS, Walker, rounded_nodes
from edgetl.trainer.network import pixels_of

WEIGHT_LIMIT = 127  # int8 weights are symmetric and leave −128 out
BATCH = 4


def batches(images: Tensor, size: int = BATCH) -> Iterator[Tensor]:
    """Pixels of N×S×S×3 uint8 pictures, some at a time."""
    for start in range(0, len(images), size):
        yield pixels_of(images[start : start + size])


def rounded_weight(weight: Tensor) -> Tensor:
    """The weights that int8 can hold nearest to these, with a step for each output channel; gradients pass."""
    step = step_of(weight.detach().flatten(1))[:, 0]
    zero = torch.zeros_like(step, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -WEIGHT_LIMIT, WEIGHT_LIMIT)


def step_of(weights: Tensor) -> Tensor:
    """The step of each row of weights, along their last axis, which is kept as one."""
    return weights.abs().amax(-1, keepdim=True).clamp_min(1e-9) / WEIGHT_LIMIT


def rounded_activation(values: Tensor, within: Range) -> Tensor:
    """The values that 256 steps within a range can hold nearest to these; gradients pass inside the range."""
    step = max((within[1] - within[0]) / STEPS, 1e-9)
    zero = min(STEPS, max(0, round(-within[0] / step)))
    return torch.fake_quantize_per_tensor_affine(values, step, zero, 0, STEPS)


class Rounded(Walker):
    """Runs a graph as int8 would. `only` limits the rounding to some nodes (layers for weights, others for results)."""

    def __init__(self, graph: GraphModule, ranges: dict[str, Range], only: set[str] | None = None) -> None:
        super().__init__(graph, self._round)
        self._ranges = ranges
        self._only = only

    def _round(self, node: Node, values: Tensor) -> Tensor:
        if node.name not in self._ranges or (self._only is not None and node.name not in self._only):
            return values
        return rounded_activation(values, self._ranges[node.name])

    def run_node(self, n: Node) -> Any:
        """One node's result, with its weights rounded first."""
        if n.target in LAYERS and (self._only is None or n.name in self._only):
            weight = n.args[1]
            assert isinstance(weight, Node)
            exact = self.env[weight]
            self.env[weight] = rounded_weight(exact)
            try:
                return super().run_node(n)
            finally:
                self.env[weight] = exact
        return super().run_node(n)


@torch.no_grad()
def logits_of(walker: torch.fx.Interpreter, images: Tensor) -> Tensor:
    """The logits of all pictures."""
    return torch.cat([walker.run(pixels) for pixels in batches(images)])


@torch.no_grad()
def observe(graph: GraphModule, images: Tensor, rule: RangeRule) -> dict[str, Range]:
    """The range of every rounded node over the pictures, by a rule; logits keep all they were seen to be."""
    spans: dict[str, Range] = {}

    def widen(node: Node, values: Tensor) -> Tensor:
        low, high = spans.get(node.name, (0.0, 0.0))
        spans[node.name] = min(low, float(values.min())), max(high, float(values.max()))
        return values

    logits_of(Walker(graph, widen), images)
    if rule == "min-max":
        return spans
    histograms = {name: Histogram(*span) for name, span in spans.items()}

    def count(node: Node, values: Tensor) -> Tensor:
        histograms[node.name].add(values.numpy())
        return values

    logits_of(Walker(graph, count), images)
    last = rounded_nodes(graph)[-1].name
    return {name: spans[name] if name == last else range_of(h, rule) for name, h in histograms.items()}


def signal_to_noise_db(exact: Tensor, other: Tensor) -> float:
    """How far logits (N×classes) stand above what was added to them, in dB; what shifts all classes alike is nothing."""
    signal = exact - exact.mean(dim=1, keepdim=True)
    noise = other - other.mean(dim=1, keepdim=True) - signal
    return float(10 * torch.log10(signal.square().sum() / noise.square().sum().clamp_min(1e-12)))
