"""Bias correction: what rounding a layer's weights adds to its results on the average is taken off its bias."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from edgetl.exporter.simulation.graph import (
    LAYERS,
    aten,
    bias_of,
    groups_of,
    inputs_of,
    is_depthwise,
    layers_of,
    weight_of,
)
from edgetl.exporter.simulation.rounding import batches, rounded_weight


@torch.no_grad()
def correct_biases(graph: GraphModule, images: Tensor) -> None:
    """Corrects every layer that has a bias, in place. Images: N×S×S×3 uint8.

    The shift is (rounded − exact weights) · mean input, exact up to the borders (after M. Nagel et al., ICCV 2019, with
    measured means). On MobileNetV2 under a probe it brought the logits from 24.7 to 25.7 dB above the noise.
    """
    means = _means(graph, images)
    for layer in layers_of(graph):
        bias, mean = bias_of(graph, layer), means[layer.name]
        if bias is None or (groups_of(layer) > 1 and not is_depthwise(graph, layer)):
            continue
        weight = weight_of(graph, layer)
        error = (
            (rounded_weight(weight) - weight).flatten(2).sum(2)
            if weight.dim() == 4
            else rounded_weight(weight) - weight
        )
        bias.sub_(error[:, 0] * mean if is_depthwise(graph, layer) else error @ mean)


def _means(graph: GraphModule, images: Tensor) -> dict[str, Tensor]:
    """The mean of each channel that goes into each layer, over the pictures."""
    walker = _Inputs(graph)
    sums: dict[str, Tensor] = {}
    for pixels in batches(images):
        walker.run(pixels)
        for name, mean in walker.means.items():
            sums[name] = sums.get(name, torch.zeros_like(mean)) + mean * len(pixels)
    return {name: total / len(images) for name, total in sums.items()}


class _Inputs(Interpreter):
    """Runs a graph and keeps the mean of each channel of what goes into each layer: the second axis of maps, the last of tokens.

    Asked at the layer itself, since on the way there tokens are cut into heads and put together again, which makes other axes.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.means: dict[str, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        """One node's result."""
        if n.target in LAYERS:
            values = cast(Tensor, self.env[inputs_of(n)[0]])
            maps = n.target is aten.conv2d.default
            self.means[n.name] = values.mean(dim=(0, 2, 3)) if maps else values.flatten(0, -2).mean(dim=0)
        return super().run_node(n)
