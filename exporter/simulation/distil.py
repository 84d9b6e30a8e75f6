"""Distillation under simulated int8: the weights learn to give the float net's logits in spite of the rounding."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter

from edgetl.exporter.ranges import Range
from edgetl.exporter.simulation.graph import bias_of, layers_of, weight_of
from edgetl.exporter.simulation.rounding import Rounded, logits_of, signal_to_noise_db
from edgetl.trainer.augment import Augmentation, augment
from edgetl.trainer.network import pixels_of

WARM_UP = 0.1  # of all steps
CHECK_EVERY = 20  # steps; the best weights so far are kept
BETAS = (0.9, 0.99)


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how hard to distil. `rate` is relative to each tensor's root mean square."""

    epochs: float = 4.0
    batch: int = 16
    rate: float = 1e-3
    seed: int = 0

    def steps(self, pictures: int) -> int:
        """The number of batches."""
        return max(1, round(self.epochs * pictures / self.batch))


class Distilled(msgspec.Struct, frozen=True):
    """What it came to: logits' distance above the noise on the checking pictures, and the steps done of those meant."""

    before_db: float
    after_db: float
    steps: int
    of: int


def distil(
    graph: GraphModule, teacher: GraphModule, train: Tensor, check: Tensor, ranges: dict[str, Range],
    how: Augmentation, schedule: Schedule, left_s: Callable[[], float],
) -> Distilled:  # fmt: skip
    """Trains the weights of `graph`, in place, to the teacher's logits; ends early when `left_s` is no longer positive.

    `train` and `check` are N×S×S×3 uint8; no label is used. The loss is the squared distance of centred logits, which
    Kullback-Leibler divergence is at a high temperature (G. Hinton et al., 2015): near the truth, where a net that was
    trained on these pictures is sure of all of them, the divergence itself would teach nothing.
    """
    parameters = _parameters(graph)
    student, exact = Rounded(graph, ranges), logits_of(Interpreter(teacher), check)
    best = before = signal_to_noise_db(exact, logits_of(student, check))
    kept = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.Adam([{"params": [p], "base": _size(p) * schedule.rate} for p in parameters], betas=BETAS)
    generator = torch.Generator().manual_seed(schedule.seed)
    steps, done = schedule.steps(len(train)), 0
    for step in range(steps):
        if left_s() <= 0:
            break
        _set_rates(optimizer, step, steps)
        rows = torch.randint(len(train), (min(schedule.batch, len(train)),), generator=generator)
        pixels = augment(pixels_of(train[rows]), how, generator).round()
        loss = _distance(student.run(pixels), _taught(teacher, pixels))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        done = step + 1
        if done % CHECK_EVERY == 0 or done == steps:
            found = signal_to_noise_db(exact, logits_of(student, check))
            if found > best:
                best, kept = found, [p.detach().clone() for p in parameters]
    _put_back(parameters, kept)
    return Distilled(before, best, done, steps)


def _parameters(graph: GraphModule) -> list[Tensor]:
    found = []
    for layer in layers_of(graph):
        bias = bias_of(graph, layer)
        found += [weight_of(graph, layer), *([] if bias is None else [bias])]
    for parameter in found:
        parameter.requires_grad_(True)
    return found


def _size(parameter: Tensor) -> float:
    return max(float(parameter.detach().square().mean().sqrt()), 1e-6)


def _set_rates(optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Linear warm-up, then half a cosine down to nothing."""
    warm_up = max(1.0, steps * WARM_UP)
    factor = min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / steps)))
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor


@torch.no_grad()
def _taught(teacher: GraphModule, pixels: Tensor) -> Tensor:
    logits: Tensor = Interpreter(teacher).run(pixels)
    return logits


def _distance(logits: Tensor, wanted: Tensor) -> Tensor:
    """Relative squared distance of centred logits."""
    ours = logits - logits.mean(dim=1, keepdim=True)
    theirs = wanted - wanted.mean(dim=1, keepdim=True)
    return (ours - theirs).square().sum() / theirs.square().sum().clamp_min(1e-12)


@torch.no_grad()
def _put_back(parameters: list[Tensor], kept: list[Tensor]) -> None:
    for parameter, value in zip(parameters, kept, strict=True):
        parameter.copy_(value)
        parameter.requires_grad_(False)
