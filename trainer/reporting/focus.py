"""Where a network looked for its answer: Grad-CAM (Selvaraju et al., ICCV 2017) by captum, PyTorch's own library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.runtime.preprocess import Image
from edgetl.trainer.network import Network, pixels_of

_BATCH = 16


class Focus:
    """Grad-CAM of one network on the last layer that still has places. Not thread-safe."""

    def __init__(self, network: Network) -> None:
        """`network` is in evaluation mode and on the CPU, and its weights stay as they are from now on. `layer` is None for nets
        without maps, as transformers are."""
        self._network = network.requires_grad_(False)
        self.layer = _last_map(network)

    def on(self, images: Sequence[Image], labels: Sequence[int]) -> list[NDArray[np.float32]] | None:
        """What spoke for each one's label in S×S×3 uint8 RGB pictures: 0 to 1, each of shape (h, w); None without maps."""
        if self.layer is None:
            return None
        return [
            heat
            for at in range(0, len(images), _BATCH)
            for heat in self._batch(images[at:][:_BATCH], labels[at:][:_BATCH])
        ]

    def _batch(self, images: Sequence[Image], labels: Sequence[int]) -> list[NDArray[np.float32]]:
        from captum.attr import LayerGradCam

        assert self.layer is not None
        pixels = pixels_of(torch.from_numpy(np.stack(images)))
        grad_cam: Any = LayerGradCam(self._network, self.layer)
        begin = self.layer.register_forward_hook(_with_gradient)
        try:
            found = grad_cam.attribute(pixels, target=list(labels), relu_attributions=True).detach().numpy()
        finally:
            begin.remove()
        return [heat / max(float(heat.max()), 1e-12) for heat in found[:, 0]]


def _with_gradient(_: nn.Module, __: object, maps: Tensor) -> Tensor:
    """The maps as something that has a gradient: what came before needs none, and would hold half a gigabyte of maps for it."""
    return maps.requires_grad_() * 1  # no leaf, which layers that compute in place would refuse


def _last_map(network: Network) -> nn.Module | None:
    """The module that gives the last N×C×H×W of more than one place; None where tokens (N×T×C) come after it."""
    last: list[nn.Module] = []

    def note(module: nn.Module, _: object, out: object) -> None:
        if isinstance(out, Tensor) and out.ndim == 4 and out.shape[2] > 1 and out.shape[3] > 1:
            last[:] = [module]
        elif isinstance(out, Tensor) and out.ndim == 3:
            last.clear()

    hooks = [module.register_forward_hook(note) for module in network.net.modules()]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, network.size, network.size))
    finally:
        for hook in hooks:
            hook.remove()
    return last[0] if last else None
