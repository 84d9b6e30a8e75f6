"""Weights for int8, each rounded up or down so that its layer's results change least; biases take what is left in the mean.

Rounding each weight to the nearest step errs by as much as it can where inputs go together, as neighbouring pixels and channels
do. Rounded one after the other, each weight that is left can take up what those before it lost (E. Frantar et al., "GPTQ",
ICLR 2023), and the shift of the mean goes into the bias (after M. Nagel et al., ICCV 2019). docs/adr/0034.
"""

from __future__ import annotations

from itertools import product
from typing import Any, cast

import msgspec
import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.nn.functional import pad

from edgetl.exporter.simulation.graph import LAYERS, aten, bias_of, groups_of, inputs_of, layers_of, weight_of
from edgetl.exporter.simulation.rounding import BATCH, WEIGHT_LIMIT, batches, rounded_weight, step_of

PLACES = 8  # rows and columns of windows that are looked at on one picture; half as many of layers whose results have few inputs
# Of the mean variance, added to each input's: what a few pictures show of thousands of inputs is not all true.
DAMPING = 0.03
# Inputs of one result; a layer with more is rounded to the nearest step, since its moments would fill memory.
WIDEST = 2048
PIXELS = BATCH * 224 * 224  # that are walked through at once
BLOCK = 64  # inputs that are rounded before the others are told; only a matter of speed


class Moments(msgspec.Struct):
    """Sums over the windows that a layer's weights meet, by group, of how far inputs lie from `around` (groups×inputs): of these
    (groups×inputs) and of their products (groups×inputs×inputs, none where that would be too large). `windows` is how many."""

    around: Tensor
    first: Tensor
    second: Tensor | None
    windows: int = 0

    @classmethod
    def begun(cls, windows: Tensor) -> Moments:
        """Of nothing yet, around the mean of some windows (groups×inputs×windows): sums around zero would lose in rounding what
        inputs vary by where that is little."""
        around, inputs = windows.mean(2), windows.shape[1]
        second = windows.new_zeros(len(windows), inputs, inputs) if inputs <= WIDEST else None
        return cls(around, torch.zeros_like(around), second)

    def add(self, windows: Tensor) -> None:
        """More of them."""
        away = windows - self.around[:, :, None]
        self.first += away.sum(2)
        if self.second is not None:
            self.second.baddbmm_(away, away.transpose(1, 2))
        self.windows += windows.shape[2]

    @property
    def mean(self) -> Tensor:
        """Of each input, groups×inputs."""
        return self.around + self.first / self.windows

    def spread(self, *, centred: bool) -> Tensor | None:
        """The mean products of inputs (groups×inputs×inputs), less their mean or not."""
        if self.second is None:
            return None
        off = self.first / self.windows
        covariance = self.second / self.windows - off[:, :, None] * off[:, None, :]
        return covariance if centred else covariance + self.mean[:, :, None] * self.mean[:, None, :]


@torch.no_grad()
def round_weights(graph: GraphModule, images: Tensor) -> None:
    """Puts the weights of every layer on int8's steps, and moves its bias, in place. Images: N×S×S×3 uint8.

    The largest weight of each output channel stays what it is, so that whoever quantizes them finds the same steps.
    """
    seen = _moments(graph, images)
    for layer in layers_of(graph):
        weight, bias, moments = weight_of(graph, layer), bias_of(graph, layer), seen[layer.name]
        grouped = weight.reshape(groups_of(layer), -1, weight[0].numel())  # groups × outputs of each × inputs of each
        chosen = _chosen(grouped, moments, centred=bias is not None)
        if bias is not None:
            bias.sub_(torch.einsum("goi,gi->go", chosen - grouped, moments.mean).flatten())
        weight.copy_(chosen.view_as(weight))


@torch.no_grad()
def store_rounded(graph: GraphModule) -> None:
    """Puts the weights of every layer on the nearest of int8's steps, in place."""
    for layer in layers_of(graph):
        weight = weight_of(graph, layer)
        weight.copy_(rounded_weight(weight))


def _moments(graph: GraphModule, images: Tensor) -> dict[str, Moments]:
    """What each layer's weights meet on the pictures."""
    walker = _Inputs(graph)
    # Many of small pictures, since adding up products takes as long for few windows.
    together = max(BATCH, PIXELS // (images.shape[1] * images.shape[2]))
    for pixels in batches(images, together):
        walker.run(pixels)
    return walker.seen


class _Inputs(Interpreter):
    """Runs a graph and adds up what goes into each layer: windows of maps, or tokens.

    Asked at the layer itself, since on the way there tokens are cut into heads and put together again, which makes other axes.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.seen: dict[str, Moments] = {}
        self._graph = graph

    def run_node(self, n: Node) -> Any:
        """One node's result."""
        if n.target in LAYERS:
            windows = self._windows(n, cast(Tensor, self.env[inputs_of(n)[0]]))
            if n.name not in self.seen:
                self.seen[n.name] = Moments.begun(windows)
            self.seen[n.name].add(windows)
        return super().run_node(n)

    def _windows(self, layer: Node, values: Tensor) -> Tensor:
        """Some of what the layer's weights meet: groups × inputs of each result × windows."""
        if layer.target is aten.linear.default:
            return values.flatten(0, -2).T[None]
        kernel = weight_of(self._graph, layer).shape[2:]
        stride, padding, dilation = (
            cast(list[int], layer.args[place]) if len(layer.args) > place else [usual] * 2
            for place, usual in ((3, 1), (4, 0), (5, 1))
        )
        most = PLACES if groups_of(layer) == 1 else PLACES // 2
        rows, columns = (
            _places(size, step, most) for size, step in zip(layer.meta["val"].shape[2:], stride, strict=True)
        )
        maps = pad(values, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else values
        kernels = product(*(range(0, size * far, far) for size, far in zip(kernel, dilation, strict=True)))
        shifted = [maps[:, :, _from(rows, down), _from(columns, right)] for down, right in kernels]
        found = torch.stack(shifted, dim=2).flatten(3)  # N × channels × places in the kernel × windows
        return found.permute(1, 2, 0, 3).reshape(groups_of(layer), -1, found.shape[0] * found.shape[3])


def _places(results: int, stride: int, most: int) -> range:
    """Where windows begin that are looked at along one axis: those of some results, far apart and as far from both ends."""
    apart = -(-results // most)
    first = (results - 1) % apart // 2
    return range(first * stride, results * stride, apart * stride)


def _from(places: range, away: int) -> slice:
    """What lies so far behind some places."""
    return slice(places[0] + away, places[-1] + away + 1, places.step)


def _chosen(weights: Tensor, moments: Moments, *, centred: bool) -> Tensor:
    """The weights (groups×outputs×inputs) on their steps. `centred`: a bias takes what the mean input makes of the errors."""
    step = step_of(weights)
    spread = moments.spread(centred=centred)
    if spread is None:
        return _nearest(weights, step)
    order = spread.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True, stable=True)
    across = order[:, None].expand_as(weights)
    spread = spread.gather(1, order[:, :, None].expand_as(spread)).gather(2, order[:, None].expand_as(spread))
    corrections = _corrections(spread)
    if corrections is None:
        return _nearest(weights, step)
    rounded = _one_after_the_other(weights.gather(2, across), step, corrections)
    return torch.empty_like(weights).scatter_(2, across, rounded)


def _nearest(weights: Tensor, step: Tensor) -> Tensor:
    return (weights / step).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) * step


def _corrections(spread: Tensor) -> Tensor | None:
    """By how much each input's error moves the weights of the inputs after it: the upper Cholesky factor of the inverse
    covariance (groups×inputs×inputs). None where activations are no numbers that have one."""
    damped = spread.double()
    # Above nothing, for inputs that are always zero.
    mean = damped.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)
    damped.diagonal(dim1=1, dim2=2).add_(DAMPING * mean[:, None])
    root, failed = torch.linalg.cholesky_ex(damped / mean[:, None, None])
    if failed.any():
        return None
    factor, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(root), upper=True)
    return None if failed.any() else factor.to(spread.dtype)


def _one_after_the_other(weights: Tensor, step: Tensor, corrections: Tensor) -> Tensor:
    """The weights on their steps, inputs in their order."""
    left, rounded = weights.clone(), torch.empty_like(weights)
    largest = torch.zeros_like(weights, dtype=torch.bool).scatter_(2, weights.abs().argmax(2, keepdim=True), True)
    inputs = weights.shape[2]
    for begin in range(0, inputs, BLOCK):
        end = min(begin + BLOCK, inputs)
        errors = weights.new_empty(*weights.shape[:2], end - begin)
        for i in range(begin, end):
            exact = left[:, :, i]
            nearest = _nearest(torch.where(largest[:, :, i], weights[:, :, i], exact), step[:, :, 0])
            rounded[:, :, i] = nearest
            error = (exact - nearest) / corrections[:, i, i, None]
            errors[:, :, i - begin] = error
            left[:, :, i + 1 : end] -= error[:, :, None] * corrections[:, i, None, i + 1 : end]
        left[:, :, end:] -= errors @ corrections[:, begin:end, end:]
    return rounded
