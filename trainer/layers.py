"""The layers of a net from its input to its head, as the optimizer's groups: each with its own rate, free or held still."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgetl.trainer.network import Network
from edgetl.trainer.recipe import LAYER_RATIO
from edgetl.trainer.settings import Settings

_ORDER = 0.5  # any rate below 1 tells timm's layers apart
LAST_BLOCKS = 1 / 3  # of the layers are free in the recipe `blocks`


class Layers:
    """Parameter groups with their depth: 0 is the stem, `count - 1` the head. timm says which parameters form a layer."""

    def __init__(self, network: Network, settings: Settings) -> None:
        from timm.optim import param_groups_layer_decay

        groups: list[dict[str, Any]] = param_groups_layer_decay(
            network.net, weight_decay=settings.weight_decay, layer_decay=_ORDER
        )
        scales = sorted({group["lr_scale"] for group in groups})
        self.count = len(scales)
        decay = _decay(settings, self.count)
        for group in groups:
            group["depth"] = scales.index(group.pop("lr_scale"))
            group["base_lr"] = group["lr"] = settings.rate * decay ** (self.count - 1 - group["depth"])
        self.groups = sorted(groups, key=lambda group: int(group["depth"]))
        self._held_by_recipe = (
            self.count - max(1, round(self.count * LAST_BLOCKS)) if settings.recipe == "blocks" else 0
        )
        self._unfreeze = settings.unfreeze

    def held(self, share: float, more: int = 0) -> int:
        """How many of the first layers are held still when a `share` of the epochs is over: those of the recipe, those
        that progressive unfreezing has not reached, and `more` against overfitting; the head is always free."""
        waiting = 0
        if share < self._unfreeze:
            waiting = self.count - 1 - int((self.count - 1) * share / self._unfreeze)
        return min(max(self._held_by_recipe + more, waiting), self.count - 1)

    def more_for(self, held: int) -> int:
        """How many layers must be held beyond those of the recipe, so that `held` are when all others are free."""
        return max(0, held - self._held_by_recipe)

    def hold(self, held: int) -> None:
        """Holds the first layers still, and frees the others."""
        for group in self.groups:
            for parameter in group["params"]:
                parameter.requires_grad_(int(group["depth"]) >= held)
                if not parameter.requires_grad:
                    parameter.grad = None

    def keep_held_statistics(self, network: Network) -> None:
        """Puts batch norms that are held still into evaluation mode: their statistics would go on drifting, and the layers
        behind them with these."""
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                own = list(module.parameters(recurse=False))
                if own and not any(parameter.requires_grad for parameter in own):
                    module.eval()


def _decay(settings: Settings, count: int) -> float:
    """The factor from one layer's rate to that of the layer before it."""
    if not settings.pretrained or count < 2:
        return 1.0
    if settings.layer_decay is not None:
        return settings.layer_decay
    ratio = LAYER_RATIO if settings.layer_ratio is None else settings.layer_ratio
    return float(ratio ** (-1 / (count - 1)))


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scales each group's own rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
