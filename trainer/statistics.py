"""Batch norm over a batch that several processes share. torch's own SyncBatchNorm does that on CUDA alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class SharedStatistics(TorchFunctionMode):
    """While it is entered, batch norm in training takes mean and variance over the pictures of all processes. Each of them
    must have at least one."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is F.batch_norm and named.get("training"):
            return _normalized(*args, **named)
        return func(*args, **named)


def _normalized(
    values: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """What F.batch_norm gives in training; `values` is N×C×…"""
    over = [0, *range(2, values.ndim)]
    shape = [1, -1] + [1] * (values.ndim - 2)
    count = _sum(torch.tensor([float(values.numel() / values.shape[1])]))
    mean = _sum(values.sum(dim=over)) / count
    centred = values - mean.view(shape)
    variance = _sum(centred.square().sum(dim=over)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / (count - 1), momentum)
    normalized = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None and bias is not None:
        normalized = normalized * weight.view(shape) + bias.view(shape)
    return normalized


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, since each process's loss depends on what all of them gave."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        found = values.clone()
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        found = gradients[0].contiguous().clone()
        dist.all_reduce(found)
        return found


def _sum(values: Tensor) -> Tensor:
    found: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return found
