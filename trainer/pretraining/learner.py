"""A network with a classifier for every head, and more of them on the way to the last features.

A deep narrow net that begins from nothing stays at chance for thousands of steps if only its last features are asked.
So formula and palette are asked of earlier feature maps too (by mean and deviation, which is what tells textures apart),
every cell of a map is asked which mark lies there, and the last features must tell the picture's descriptors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.pretraining.descriptors import DESCRIPTORS, descriptors
from edgetl.trainer.pretraining.pictures import HEADS, classes_of
from edgetl.trainer.pretraining.plan import DESCRIPTOR, Plan

WHERE = "where"
MAPS = 4  # feature maps, of which the last is the net's own; the one before is at a sixteenth of the size
ASKED_EARLY = ("formula", "palette")
WEIGHTS = {
    "formula": 0.2,  # more of it takes from the descriptors, which teach sooner
    "palette": 0.2,
    "outline": 0.3,
    "mark": 0.5,
    WHERE: 1.0,
    DESCRIPTOR: 8.0,
}  # of the heads' losses
EARLY = 0.5  # of that for a head on an earlier map
CLEAN_CELL = 0.15  # the weight of a cell without a mark: there are many


class Learner(nn.Module):
    """Takes N×3×S×S float pixels (0 to 255); gives each head's logits N×classes, for `where` N×marks×cells×cells, and for
    the descriptors how far off the net is N×DESCRIPTORS, in their deviations over many pictures.

    A head on the n-th feature map is named as its question, an underscore and n.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        classes = classes_of(plan.formulas)
        self.network = Network(describe(plan.model), 1, plan.imgsz)
        cast(Any, self.network.net).reset_classifier(0)  # the heads stand in its place
        with torch.no_grad():
            pooled, maps = self.eval()._features(torch.zeros(1, 3, plan.imgsz, plan.imgsz))
        self.heads = nn.ModuleDict(
            {name: nn.Linear(pooled.shape[1], classes[name]) for name in plan.heads if name in classes}
        )
        if DESCRIPTOR in plan.heads:
            self.heads[DESCRIPTOR] = nn.Linear(pooled.shape[1], DESCRIPTORS)
            self.scaled = nn.BatchNorm1d(DESCRIPTORS, affine=False)
        for name in (n for n in ASKED_EARLY if n in plan.heads):
            for depth, features in enumerate(maps):
                width = 2 * features.shape[1]
                self.heads[f"{name}_{depth}"] = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, classes[name]))
        if "mark" in plan.heads:
            self.heads[WHERE] = nn.Conv2d(maps[-1].shape[1], classes["mark"], 1)

    def _features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last features N×k, and the feature maps before them."""
        net = cast(Any, self.network.net)
        last, maps = net.forward_intermediates((pixels - self.network.mean) / self.network.scale, indices=MAPS)
        return net.forward_head(last, pre_logits=True), maps[:-1]

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """All the logits."""
        pooled, maps = self._features(pixels)
        seen = dict.fromkeys((*HEADS, DESCRIPTOR), pooled) | {WHERE: maps[-1]}
        for depth, features in enumerate(maps):
            spread, mean = torch.var_mean(features.float(), dim=(2, 3))
            seen |= {f"{name}_{depth}": torch.cat([mean, (spread + 1e-4).sqrt()], dim=1) for name in ASKED_EARLY}
        told = {name: head(seen[name]) for name, head in self.heads.items()}
        if DESCRIPTOR in told:
            with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
                wanted = self.scaled(descriptors(pixels))
            told[DESCRIPTOR] = told[DESCRIPTOR].float() - wanted
        return told


def losses_of(
    logits: dict[str, Tensor], labels: Tensor, where: Tensor, total: Callable[[Tensor], Tensor] = lambda count: count
) -> dict[str, Tensor]:
    """Each head's mean loss; `labels` N×heads in the order of HEADS, `where` N×GRID×GRID with 1 on the mark. Where a batch is
    shared, `total` adds up over all who work on it, and the means of their parts add up to that of the batch."""
    column = {name: labels[:, n] for n, name in enumerate(HEADS)}
    pictures = total(torch.tensor(float(len(labels)), device=labels.device))
    losses = {
        name: F.cross_entropy(found.float(), column[question_of(name)], label_smoothing=0.05, reduction="sum")
        / pictures
        for name, found in logits.items()
        if name not in (WHERE, DESCRIPTOR)
    }
    if DESCRIPTOR in logits:
        off = logits[DESCRIPTOR]
        far = F.smooth_l1_loss(off, torch.zeros_like(off), reduction="sum")
        losses[DESCRIPTOR] = far / (pictures * off.shape[1])
    if WHERE in logits:
        cells = F.adaptive_max_pool2d(where.float(), logits[WHERE].shape[-1]).long() * column["mark"].view(-1, 1, 1)
        weights = torch.ones(logits[WHERE].shape[1], device=where.device)
        weights[0] = CLEAN_CELL
        summed = F.cross_entropy(logits[WHERE].float(), cells, weights, reduction="sum")
        losses[WHERE] = summed / total(weights[cells].sum())
    return losses


def question_of(head: str) -> str:
    """What a head is asked: one of HEADS, WHERE or DESCRIPTOR."""
    return head.partition("_")[0]


def summed(losses: dict[str, Tensor]) -> Tensor:
    """The loss of all heads together."""
    weights = {name: WEIGHTS[question_of(name)] * (EARLY if "_" in name else 1.0) for name in losses}
    return torch.stack([loss * weights[name] for name, loss in losses.items()]).sum()
