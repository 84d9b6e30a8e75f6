"""What classical image processing says of a picture: its tones, its colours, and the edges in it at four scales.

A linear classifier on these numbers alone tells materials apart. They are asked of the net as well: a formula's number
is one bit of news in a while for a net that begins from nothing, these are hundreds of numbers from the first picture.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TONES, HUES, DIRECTIONS, STRENGTHS, SCALES, LAYOUT = 8, 7, 8, 8, 4, 4
DESCRIPTORS = TONES + HUES**2 + 3 * LAYOUT**2 + SCALES * (2 * DIRECTIONS + STRENGTHS + LAYOUT**2)
_FAINT = 1e-3  # added before a logarithm: a thousandth of the brightness


def descriptors(pixels: Tensor) -> Tensor:
    """N×DESCRIPTORS of N×3×S×S float pixels 0 to 255 (RGB)."""
    picture = pixels.float().contiguous() / 255
    tone = picture.mean(dim=1, keepdim=True)
    found = [_binned(tone[:, 0], 0, 1, TONES).mean(dim=(2, 3)).sqrt(), _colours(picture, tone[:, 0])]
    found.append(F.adaptive_avg_pool2d(picture, LAYOUT).flatten(1))
    for _ in range(SCALES):
        found += _edges(tone)
        tone = F.avg_pool2d(tone, 2)
    return torch.cat(found, dim=1)


def _colours(picture: Tensor, tone: Tensor) -> Tensor:
    """A joint histogram of red against green and of yellow against blue, as shares of the tone."""
    red, green, blue = picture.unbind(1)
    bright = tone.clamp_min(0.05)
    one = _binned(((red - green) / bright).clamp(-1, 1), -1, 1, HUES)
    other = _binned((((red + green) / 2 - blue) / bright).clamp(-1, 1), -1, 1, HUES)
    joint = torch.bmm(one.flatten(2), other.flatten(2).transpose(1, 2)) / tone[0].numel()
    return joint.flatten(1).clamp_min(0).sqrt()


def _edges(tone: Tensor) -> list[Tensor]:
    """Mean and power by direction, a histogram of strengths, and the strength by place."""
    beside, below = F.pad(tone, (1, 1, 0, 0), mode="replicate"), F.pad(tone, (0, 0, 1, 1), mode="replicate")
    across, down = beside[..., 2:] - beside[..., :-2], below[..., 2:, :] - below[..., :-2, :]
    strength = torch.hypot(across, down)
    angles = torch.arange(DIRECTIONS, device=tone.device).view(1, -1, 1, 1) * (2 * math.pi / DIRECTIONS)
    along = strength * torch.cos(2 * torch.atan2(down, across) - angles).clamp_min(0).square()
    low = math.log(_FAINT)
    return [
        (along.mean(dim=(2, 3)) + _FAINT / 10).log(),
        (along.square().mean(dim=(2, 3)) + _FAINT / 100).log(),
        _binned((strength[:, 0] + _FAINT).log().clamp(low, 0.5), low, 0.5, STRENGTHS).mean(dim=(2, 3)).sqrt(),
        (F.adaptive_avg_pool2d(strength, LAYOUT).flatten(1) + _FAINT).log(),
    ]


def _binned(values: Tensor, low: float, high: float, bins: int) -> Tensor:
    """N×bins×S×S shares of N×S×S values in bins that overlap, so that a small change moves them a little."""
    centres = torch.linspace(low, high, bins, device=values.device).view(1, -1, 1, 1)
    return (1 - (values.unsqueeze(1) - centres).abs() * ((bins - 1) / (high - low))).clamp_min(0)
