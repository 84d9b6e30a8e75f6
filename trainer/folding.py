"""Batch norm with kept statistics, computed by the convolution before it.

Where its mean and variance stay as they are, a batch norm only scales and shifts each channel, which the convolution's weights can do:
the same net, to rounding, that learns the same parameters with the same gradients, without a pass over every activation there and two
back. (B. Jacob et al., 2018, arXiv:1712.05877, section 3.2, on the same for inference.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_LOOKS = ("__get__", "dim", "size")  # at a tensor's shape or type, which use no values of it


class Folded(TorchFunctionMode):
    """While it is entered, batch norms of a net that keep their statistics are computed by the convolutions before them. Which
    convolutions these are is read from one forward pass over a picture of `size` px: those whose result a batch norm takes, and
    nothing else."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self._norm_of = _followers(network, size)  # by the convolution's weight
        self._without = {id(norm.weight) for norm in self._norm_of.values()}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is F.conv2d and (norm := self._norm_of.get(id(_weight(args, named)))) is not None and not norm.training:
            return _normalized(norm, *args, **named)
        if func is F.batch_norm and id(named.get("weight")) in self._without and not named.get("training"):
            return args[0]
        return func(*args, **named)


def _normalized(
    norm: nn.BatchNorm2d, input: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any
) -> Tensor:
    """What the norm makes of the convolution's result."""
    assert norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * factor if bias is None else norm.bias + (bias - norm.running_mean) * factor
    return F.conv2d(input, weight * factor.view(-1, 1, 1, 1), shift, *rest, **named)


class _Uses(TorchFunctionMode):
    """Notes which tensors come from a convolution, and what takes them."""

    def __init__(self) -> None:
        super().__init__()
        # Of convolutions, with the weight; kept, so that no id is used twice.
        self.results: list[tuple[Tensor, Tensor]] = []
        # By the tensor: a batch norm's weight, or None for anything else.
        self.taken: dict[int, list[Tensor | None]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        by = named.get("weight") if func is F.batch_norm else None
        if getattr(func, "__name__", "") not in _LOOKS:
            for value in _tensors((*args, *named.values())):
                self.taken.setdefault(id(value), []).append(by)
        found = func(*args, **named)
        if func is F.conv2d:
            self.results.append((found, _weight(args, named)))
            self.taken[id(found)] = []  # an earlier tensor may have had this id
        return found


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


@torch.no_grad()
def _followers(network: nn.Module, size: int) -> dict[int, nn.BatchNorm2d]:
    """The batch norms that alone take a convolution's result, by the id of its weight. The network is in evaluation mode then."""
    norms = {
        id(m.weight): m
        for m in network.modules()
        if isinstance(m, nn.BatchNorm2d) and m.affine and m.track_running_stats
    }
    first = next(network.parameters())
    network.eval()
    uses = _Uses()
    with uses:
        network(torch.zeros(1, 3, size, size, device=first.device, dtype=first.dtype))
    weights = [id(weight) for _, weight in uses.results]
    found = {}
    for result, weight in uses.results:
        takers = uses.taken.get(id(result), [])
        if len(takers) == 1 and id(takers[0]) in norms and weights.count(id(weight)) == 1:
            found[id(weight)] = norms[id(takers[0])]
    return found


def _weight(args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """Of F.conv2d."""
    value: Tensor = args[1] if len(args) > 1 else named["weight"]
    return value
