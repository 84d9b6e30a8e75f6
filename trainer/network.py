"""The trained object: raw pixels in, logits out, with the normalization inside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from edgetl.errors import UsageError
from edgetl.trainer.allocation import keep_freed_memory
from edgetl.trainer.backbones import Backbone, create
from edgetl.trainer.normalization import Normalization


class FeatureNet(Protocol):
    """What gives features of pictures: a network, a run's or a pretrained one, or the image tower of a CLIP model."""

    def eval(self) -> object:
        """Puts it into evaluation mode."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Its values by name."""

    def features(self, pixels: Tensor) -> Tensor:
        """N×features of N×3×S×S float pixels 0 to 255 (RGB)."""

    def digest(self) -> str:
        """What its features depend on beside the pixels, as SHA-256."""


class Network(nn.Module):
    """A backbone behind its own normalization. Takes N×3×S×S float pixels 0 to 255 (RGB), gives N×classes logits."""

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, classes: int, size: int) -> None:
        super().__init__()
        keep_freed_memory()  # every command that computes with torch comes by here
        self.backbone = backbone
        self.size = size
        self.net: nn.Module = create(backbone, classes, size)
        self.register_buffer("mean", torch.empty(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.empty(1, 3, 1, 1), persistent=False)
        self.expect(backbone.normalization)

    def expect(self, normalization: Normalization) -> None:
        """Normalizes the input as the weights that it is given expect it."""
        self.backbone = self.backbone.expecting(normalization)
        self.mean.copy_(255.0 * torch.tensor(normalization.mean).view(1, 3, 1, 1))
        self.scale.copy_(255.0 * torch.tensor(normalization.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch of pixels."""
        return cast(Tensor, self.net((pixels - self.mean) / self.scale))

    def features(self, pixels: Tensor) -> Tensor:
        """What the classifier sees: N×features."""
        net: Any = self.net
        maps = net.forward_features((pixels - self.mean) / self.scale)
        return cast(Tensor, net.forward_head(maps, pre_logits=True))

    def digest(self) -> str:
        """What its features depend on beside the pixels: not the classifier."""
        return digest_of(self, without=f"net.{self.backbone.classifier}")

    @property
    def head(self) -> nn.Linear:
        """The classifier."""
        return cast(nn.Linear, self.net.get_submodule(self.backbone.classifier))


def digest_of(net: nn.Module, without: str = "") -> str:
    """SHA-256 over what a net is made of and the values of its tensors, but for those of one module."""
    digest = hashlib.sha256()
    parts = [(name, module) for name, module in net.named_modules() if not list(module.children())]
    for name, module in parts:
        if not without or name != without:
            digest.update(f"{name}: {module}\n".encode())
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        if not without or not name.startswith(f"{without}."):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
