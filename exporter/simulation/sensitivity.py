"""Which layers lose the most by int8: each is rounded alone, and the noise it makes at the logits is measured."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from edgetl.exporter.ranges import Range
from edgetl.exporter.simulation.graph import CLIPS, layers_of
from edgetl.exporter.simulation.rounding import Rounded, logits_of, signal_to_noise_db


def noise_of_layers(graph: GraphModule, ranges: dict[str, Range], images: Tensor) -> list[float]:
    """Signal above noise (dB) of the logits with one layer rounded, for each layer in its order: low is sensitive."""
    exact = logits_of(torch.fx.Interpreter(graph), images)
    return [
        signal_to_noise_db(exact, logits_of(Rounded(graph, ranges, only=_with_result(layer)), images))
        for layer in layers_of(graph)
    ]


def _with_result(layer: Node) -> set[str]:
    """A layer, and the node that stores its result: the clip behind it, if there is one."""
    return {layer.name, *(user.name for user in layer.users if user.target in CLIPS)}


def most_sensitive(noise: list[float], share: float) -> list[int]:
    """The positions of the most sensitive layers, at least one, in their order."""
    count = max(1, round(share * len(noise)))
    return sorted(sorted(range(len(noise)), key=lambda i: noise[i])[:count])
