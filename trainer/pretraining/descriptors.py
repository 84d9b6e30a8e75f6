"""What classical image processing says of a picture: its tones, its colours, and the edges in it at four scales.

A linear classifier on these numbers alone tells materials apart, better than on the features of many a net. They are asked of
the net as well: a formula's number is one bit of news in a while for a net that begins from nothing, these are hundreds of
numbers from the first picture. What lies between edges is asked by edges of the edges' strength, as in the second order of a
scattering transform (J. Bruna and S. Mallat, Invariant scattering convolution networks, 2013).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TONES, HUES, CUBE, LAYOUT = (
    8,
    7,
    5,
    4,
)  # bins of brightness, of each opponent colour, of red, green and blue; cells along a side
SCALES, DIRECTIONS, STRENGTHS = 4, 8, 8
COLOUR_DIRECTIONS, COLOUR_STRENGTHS = 4, 6
JOINT, FINE = 6, 9  # bins of brightness and of strength together; of what is brighter than around it
PATTERNS = 4  # directions of edges, and of the edges of their strength
_PER_SCALE = 2 * DIRECTIONS + STRENGTHS + LAYOUT**2 + JOINT**2 + FINE + 2 * (COLOUR_DIRECTIONS + COLOUR_STRENGTHS)
DESCRIPTORS = TONES + HUES**2 + CUBE**3 + 3 * LAYOUT**2 + SCALES * _PER_SCALE + SCALES * (SCALES - 1) // 2 * PATTERNS**2
_FAINT = 1e-3  # added before a logarithm: a thousandth of the brightness
_LOW, _HIGH = math.log(_FAINT), 0.5  # of the logarithm of an edge's strength
_FINE_GAIN = 8


def descriptors(pixels: Tensor) -> Tensor:
    """N×DESCRIPTORS of N×3×S×S float pixels 0 to 255 (RGB)."""
    picture = pixels.float().contiguous() / 255
    tone, (one, other) = picture.mean(dim=1, keepdim=True), _opponents(picture)
    found = [_shares(tone, 0, 1, TONES), _hues(one, other, tone), _cube(picture)]
    found.append(F.adaptive_avg_pool2d(picture, LAYOUT).flatten(1))
    for scale in range(SCALES):
        strength, angle = _edges(tone)
        found += [*_of_edges(strength, angle), *_tones_and_edges(tone, strength), *_coloured(one), *_coloured(other)]
        found += _patterns(strength, angle, SCALES - 1 - scale)
        tone, one, other = (F.avg_pool2d(plane, 2) for plane in (tone, one, other))
    return torch.cat(found, dim=1)


def _opponents(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Red against green and yellow against blue, N×1×S×S each."""
    red, green, blue = picture.unbind(1)
    return (red - green).unsqueeze(1), ((red + green) / 2 - blue).unsqueeze(1)


def _hues(one: Tensor, other: Tensor, tone: Tensor) -> Tensor:
    """A joint histogram of the opponent colours, as shares of the tone."""
    bright = tone.clamp_min(0.05)
    binned = (_binned((plane / bright).clamp(-1, 1)[:, 0], -1, 1, HUES) for plane in (one, other))
    return _together(*binned)


def _cube(picture: Tensor) -> Tensor:
    """A joint histogram of red, green and blue."""
    red, green, blue = (_binned(plane, 0, 1, CUBE).flatten(2) for plane in picture.unbind(1))
    pairs = (red.unsqueeze(2) * green.unsqueeze(1)).flatten(1, 2)
    return (torch.bmm(pairs, blue.transpose(1, 2)) / blue.shape[-1]).flatten(1).clamp_min(0).sqrt()


def _of_edges(strength: Tensor, angle: Tensor) -> list[Tensor]:
    """Mean and power by direction, a histogram of strengths, and the strength by place."""
    along = _along(strength, angle, DIRECTIONS)
    return [
        (along.mean(dim=(2, 3)) + _FAINT / 10).log(),
        (along.square().mean(dim=(2, 3)) + _FAINT / 100).log(),
        _shares(_level(strength), _LOW, _HIGH, STRENGTHS),
        (F.adaptive_avg_pool2d(strength, LAYOUT).flatten(1) + _FAINT).log(),
    ]


def _tones_and_edges(tone: Tensor, strength: Tensor) -> list[Tensor]:
    """A joint histogram of brightness and strength, and one of how much brighter than around it a place is."""
    joint = _together(_binned(_level(strength)[:, 0], _LOW, _HIGH, JOINT), _binned(tone[:, 0], 0, 1, JOINT))
    around = F.avg_pool2d(F.pad(tone, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return [joint, _shares((_FINE_GAIN * (tone - around)).clamp(-1, 1), -1, 1, FINE)]


def _coloured(plane: Tensor) -> list[Tensor]:
    """The edges of an opponent colour: mean by direction, and a histogram of strengths."""
    strength, angle = _edges(plane)
    along = _along(strength, angle, COLOUR_DIRECTIONS)
    return [(along.mean(dim=(2, 3)) + _FAINT / 10).log(), _shares(_level(strength), _LOW, _HIGH, COLOUR_STRENGTHS)]


def _patterns(strength: Tensor, angle: Tensor, coarser: int) -> list[Tensor]:
    """By direction, how the strength of edges of a direction varies at each of the coarser scales."""
    along, found = _along(strength, angle, PATTERNS), []
    for _ in range(coarser):
        along = F.avg_pool2d(along, 2)
        again = _along(*_edges(along.flatten(0, 1).unsqueeze(1)), PATTERNS)
        found.append((again.mean(dim=(2, 3)).reshape(len(strength), -1) + _FAINT / 10).log())
    return found


def _edges(plane: Tensor) -> tuple[Tensor, Tensor]:
    """The edges in N×1×S×S: how strong each is and its angle, N×1×S×S each."""
    beside, below = F.pad(plane, (1, 1, 0, 0), mode="replicate"), F.pad(plane, (0, 0, 1, 1), mode="replicate")
    across, down = beside[..., 2:] - beside[..., :-2], below[..., 2:, :] - below[..., :-2, :]
    return torch.hypot(across, down), torch.atan2(down, across)


def _along(strength: Tensor, angle: Tensor, directions: int) -> Tensor:
    """The strength of edges by direction, N×directions×S×S."""
    angles = torch.arange(directions, device=angle.device).view(1, -1, 1, 1) * (2 * math.pi / directions)
    return strength * torch.cos(2 * angle - angles).clamp_min(0).square()


def _level(strength: Tensor) -> Tensor:
    return (strength + _FAINT).log().clamp(_LOW, _HIGH)


def _shares(plane: Tensor, low: float, high: float, bins: int) -> Tensor:
    """A histogram of N×1×S×S; roots of the shares, so that rare values count too."""
    return _binned(plane[:, 0], low, high, bins).mean(dim=(2, 3)).sqrt()


def _together(one: Tensor, other: Tensor) -> Tensor:
    """The joint histogram of two N×bins×S×S shares, as its roots."""
    joint = torch.bmm(one.flatten(2), other.flatten(2).transpose(1, 2)) / one[0, 0].numel()
    return joint.flatten(1).clamp_min(0).sqrt()


def _binned(values: Tensor, low: float, high: float, bins: int) -> Tensor:
    """N×bins×S×S shares of N×S×S values in bins that overlap, so that a small change moves them a little."""
    centres = torch.linspace(low, high, bins, device=values.device).view(1, -1, 1, 1)
    return (1 - (values.unsqueeze(1) - centres).abs() * ((bins - 1) / (high - low))).clamp_min(0)
