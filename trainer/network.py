"""The trained object: raw pixels in, logits out, with the normalization inside."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from edgetl.errors import UsageError
from edgetl.trainer.backbones import Backbone, create


class Network(nn.Module):
    """A backbone behind its own normalization. Takes N×3×S×S float pixels 0 to 255 (RGB), gives N×classes logits."""

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, classes: int, size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.net: nn.Module = create(backbone, classes, size)
        self.register_buffer("mean", 255.0 * torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", (255.0 * torch.tensor(backbone.std)).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch of pixels."""
        return cast(Tensor, self.net((pixels - self.mean) / self.scale))

    def features(self, pixels: Tensor) -> Tensor:
        """What the classifier sees: N×features."""
        net: Any = self.net
        maps = net.forward_features((pixels - self.mean) / self.scale)
        return cast(Tensor, net.forward_head(maps, pre_logits=True))

    @property
    def head(self) -> nn.Linear:
        """The classifier."""
        return cast(nn.Linear, self.net.get_submodule(self.backbone.classifier))


def pixels_of(images: Tensor) -> Tensor:
    """N×S×S×3 uint8 pictures as N×3×S×S float pixels in channels-last memory, which convolutions on CPUs prefer."""
    return images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last)


def channels_last(network: Network) -> Network:
    """The network with its weights in channels-last memory: twice the speed of convolutions on CPUs."""
    module: Any = network  # torch's stubs do not know this form of `to`
    module.to(memory_format=torch.channels_last)
    return network


def best_device(wanted: str = "auto") -> torch.device:
    """The device to train on: CUDA, then MPS, then the CPU, or the one that was asked for."""
    if wanted != "auto":
        try:
            return torch.zeros(1, device=wanted).device
        except (RuntimeError, AssertionError) as error:  # an unknown name, or a build of torch without it
            reason = str(error).splitlines()[0]
            raise UsageError(f"--device {wanted}: not available here ({reason}); use auto or cpu") from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
