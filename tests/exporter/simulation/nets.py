"""Small nets with what makes int8 hard: channels of very unlike sizes, residual sums, depthwise layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgetl.trainer.network import pixels_of

SIZE = 16


class Uneven(nn.Module):
    """A stem, an inverted residual block and a head, as in MobileNetV2; channels of the stem differ a hundredfold."""

    def __init__(self, spread: float = 100.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.back = nn.Conv2d(16, 8, 1)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.stem[1].weight.mul_(torch.logspace(0, -math.log10(spread), 8))  # type: ignore[operator]
            self.head.bias.zero_()

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits."""
        first = self.project(self.depthwise(self.stem(pixels)))
        whole = first + self.back(self.expand(first))
        return self.head(whole.mean(dim=(2, 3)))  # type: ignore[no-any-return]


class Attending(nn.Module):
    """Patches, attention of two heads on their tokens, and a head that takes all of them in a row, as no map of one place."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.qkv, self.project = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 24), nn.Linear(8, 8)
        self.maps = nn.Sequential(nn.Conv2d(8, 6, 2), nn.ReLU(), nn.Flatten(1), nn.Linear(6 * 9, 4))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits."""
        tokens = self.patches(pixels / 255).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        seen = (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        mixed = tokens + self.project(seen.transpose(1, 2).reshape(-1, 16, 8))
        return self.maps(mixed.transpose(1, 2).reshape(-1, 8, 4, 4))  # type: ignore[no-any-return]


def uneven(seed: int = 0, spread: float = 100.0) -> Uneven:
    """The net with weights by seed, for evaluation; its batch norms know the pictures."""
    torch.manual_seed(seed)
    net = Uneven(spread)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.eps = 1.0, 1e-12
    with torch.no_grad():
        net.train()(pixels_of(pictures(64, seed=9)))
    return net.eval()


def pictures(n: int, seed: int = 0) -> Tensor:
    """Pictures of N×S×S×3 uint8: noise of several sizes and brightnesses."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 4, 4, generator=generator)
    light = torch.rand(n, 1, 1, 1, generator=generator)
    smooth = nn.functional.interpolate(coarse, SIZE, mode="bilinear") * light
    return (smooth * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
