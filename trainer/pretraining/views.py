"""How a batch of drawn pictures is looked at: turned, flipped, and from nearer while small pictures are enough."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgetl.trainer.pretraining.pictures import HEADS

_MARK = HEADS.index("mark")


def turned(pixels: Tensor, where: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flips and quarter turns, the same for a batch N×3×S×S and its maps of marks N×cells×cells."""
    flips, turns = (int(n) for n in torch.randint(0, 4, (2,), generator=chance))
    dims = [dim for dim, bit in ((-1, 1), (-2, 2)) if flips & bit]
    return torch.rot90(pixels.flip(dims), turns, (-2, -1)), torch.rot90(where.flip(dims), turns, (-2, -1))


def nearer(
    pixels: Tensor, where: Tensor, labels: Tensor, side: int, chance: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A square part of N×3×S×S pictures, the same of the whole batch, as N×3×side×side; its maps N×cells×cells; and the
    labels N×heads, where a mark that lies outside of it is none.

    The square is of whole cells, as large as the picture or smaller, down to about `side` pixels.
    """
    whole, cells = pixels.shape[-1], where.shape[-1]
    across = int(torch.randint(-(-cells * side // whole), cells + 1, (1,), generator=chance))
    top, left = (int(n) for n in torch.randint(0, cells - across + 1, (2,), generator=chance))
    (y, x), (height, width) = (
        [round(n * whole / cells) for n in ns] for ns in ((top, left), (top + across, left + across))
    )
    pixels, where = pixels[..., y:height, x:width], where[..., top : top + across, left : left + across]
    if pixels.shape[-1] != side:
        pixels = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True, align_corners=False)
    labels = labels.clone()
    labels[:, _MARK] *= where.flatten(1).any(dim=1)
    return pixels, where, labels
