"""Batch norms that convolutions compute: the same answers and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgetl.trainer.backbones import describe
from edgetl.trainer.folding import Folded
from edgetl.trainer.network import Network

SIZE = 64


def known(network: nn.Module) -> nn.Module:
    """The network with batch norms that have seen pictures, in evaluation mode."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def learned(network: nn.Module, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits, and the gradient of each parameter."""
    network.zero_grad()
    logits = network(pixels)
    F.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[1]).backward()
    return logits.detach(), [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def norms_run(network: nn.Module, folded: Folded, pixels: Tensor) -> int:
    """How many batch norms still change what they are given."""
    changed = []

    def look(norm: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> None:
        changed.append(not torch.equal(given[0], found))

    plain = [m for m in network.modules() if type(m) is nn.BatchNorm2d]
    hooks = [norm.register_forward_hook(look) for norm in plain]
    with folded, torch.no_grad():
        network(pixels)
    for hook in hooks:
        hook.remove()
    return sum(changed)


@pytest.mark.parametrize("model", ["mobilenet_v2_050", "mobilenet_v3_small", "resnet18", "efficientnet_lite0"])
def test_answers_and_gradients_are_the_same(model: str) -> None:
    network = known(Network(describe(model), 3, SIZE))
    pixels = 255 * torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    logits, gradients = learned(network, pixels)
    with Folded(network, SIZE):
        same, others = learned(network, pixels)
    assert torch.allclose(logits, same, rtol=1e-3, atol=1e-4 * float(logits.abs().max()))
    for gradient, other in zip(gradients, others, strict=True):
        assert float((gradient - other).norm()) <= 2e-2 * float(gradient.norm()) + 1e-6


def test_every_norm_behind_a_convolution_is_folded() -> None:
    network = known(Network(describe("resnet18"), 3, SIZE))
    pixels = 255 * torch.rand(2, 3, SIZE, SIZE)
    assert norms_run(network, Folded(network, SIZE), pixels) == 0


class Branched(nn.Module):
    """A convolution whose result a batch norm takes, and something else too; or one whose norm stands alone."""

    def __init__(self, use: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm, self.use = nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4), use

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.conv(pixels)
        return self.use(self.norm(maps), maps).mean(dim=(2, 3))


@pytest.mark.parametrize(("use", "left"), [(lambda normed, maps: normed + maps, 1), (lambda normed, maps: normed, 0)])
def test_result_that_something_else_takes_too_stays_as_it_is(
    use: Callable[[Tensor, Tensor], Tensor], left: int
) -> None:
    network, pixels = known(Branched(use)), torch.rand(2, 3, 16, 16)
    folded = Folded(network, 16)
    with folded:
        found = network(pixels)
    assert torch.allclose(found, network(pixels), atol=1e-6)
    assert norms_run(network, folded, pixels) == left


def test_norm_that_learns_its_statistics_is_left_alone() -> None:
    """Each batch moves them, folded or not."""
    network, pixels = known(Branched(lambda normed, maps: normed)), torch.rand(4, 3, 16, 16)
    folded = Folded(network, 16)
    network.train()
    before = network.norm.running_mean.clone()
    with folded:
        found = network(pixels)
    assert not torch.equal(network.norm.running_mean, before)
    assert torch.allclose(found.mean(dim=0), network.norm.bias, atol=1e-5)  # the batch's own mean is taken away
