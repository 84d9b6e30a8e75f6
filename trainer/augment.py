"""Changes pictures during training as a camera over a line would: small shifts and turns, light, blur, noise.

Works on whole batches on the training device. Nothing is cropped away beyond a few per cent, since defects sit at
edges too. Photographs taken anyhow are changed more, and a square of each is erased, so that no single spot is learned by heart
(random erasing; Z. Zhong et al., 2017, arXiv:1708.04896).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


class Augmentation(msgspec.Struct, frozen=True):
    """How far a picture may be changed. Angles in degrees, shifts and scales as fractions, light as factors. `blur` is the
    chance that a picture is blurred, `softness` how much of the blurred picture (means of 3×3) is mixed in. `erase`: side of the
    square that is made grey, as a fraction of the picture's."""

    flip_horizontal: bool = True
    flip_vertical: bool = False
    rotate_deg: float = 10.0
    shift: float = 0.06
    scale: float = 0.10
    brightness: float = 0.20
    contrast: float = 0.20
    colour: float = 0.06
    blur: float = 0.2
    noise: float = 4.0
    softness: float = 1.0
    erase: float = 0.0


PRESETS = {
    "none": Augmentation(False, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    # A fixed camera in a cell with its own light: what changes there is little, and fine scratches must survive it.
    "part": Augmentation(
        flip_horizontal=False,
        rotate_deg=3.0,
        shift=0.02,
        scale=0.03,
        brightness=0.10,
        contrast=0.10,
        colour=0.02,
        blur=0.05,
        softness=0.5,
        noise=2.0,
    ),
    "texture": Augmentation(flip_vertical=True, rotate_deg=180.0),
    # One scene with some play: what lies in it is moved and lit a little differently each time.
    "scene": Augmentation(rotate_deg=12.0, shift=0.08, scale=0.15, brightness=0.25, contrast=0.25),
    # Photographs of whole objects, taken from anywhere in any light.
    "natural": Augmentation(
        rotate_deg=25.0, shift=0.15, scale=0.35, brightness=0.40, contrast=0.40, colour=0.12, erase=0.35
    ),
}
PRESETS["auto"] = PRESETS["scene"]  # where nothing was trained, so that nothing was decided
ERASED = 127.0  # the grey that says least to a net


class Part(msgspec.Struct, frozen=True):
    """Which pictures of a batch of how many."""

    pictures: slice
    of: int


def without_colour(images: NDArray[np.uint8]) -> bool:
    """Whether all channels of pictures (…×3 uint8) are the same, as a camera without colours gives them."""
    return bool((images == images[..., :1]).all())


def augment(
    pixels: Tensor, how: Augmentation, generator: torch.Generator, part: Part | None = None, *, grey: bool = False
) -> Tensor:
    """A changed copy of N×3×S×S float pixels (0 to 255); random numbers come from `generator`, and are drawn on its device.

    Where the pixels are a `part` of a batch, each is changed as it would be in the whole batch. `grey`: the camera has no colours, so
    that light and noise are the same in all three channels, and there is no tint.
    """
    whole = part or Part(slice(None), len(pixels))

    def random(draw: Callable[..., Tensor], *shape: int) -> Tensor:
        """Numbers of shape (…, pictures, 1…), of which those of our pictures are kept."""
        at = shape.index(-1)
        drawn = draw(*shape[:at], whole.of, *shape[at + 1 :], generator=generator, device=generator.device)
        return drawn[(slice(None),) * at + (whole.pictures,)].to(pixels.device)

    def uniform(*shape: int) -> Tensor:
        return random(torch.rand, *shape) * 2 - 1

    def by_channel(random_numbers: Tensor) -> Tensor:
        return random_numbers[:, :1].expand_as(random_numbers) if grey else random_numbers

    pixels = _moved(pixels, how, uniform(5, -1))
    pixels = _relit(pixels, how, uniform(3, -1, 1, 1, 1), by_channel(uniform(-1, 3, 1, 1)))
    if how.erase > 0:
        pixels = _erased(pixels, how.erase, random(torch.rand, 2, -1))
    if how.blur > 0:
        blurred = random(torch.rand, -1) < how.blur
        soft = pixels.lerp(F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False), how.softness)
        pixels = torch.where(blurred.view(-1, 1, 1, 1), soft, pixels)
    if how.noise > 0:
        level = how.noise * uniform(-1, 1, 1, 1).abs()
        pixels = pixels + level * by_channel(random(torch.randn, -1, *pixels.shape[1:]))
    return pixels.clamp(0, 255)


def _moved(pixels: Tensor, how: Augmentation, r: Tensor) -> Tensor:
    """Rotation, scale, shift and flips as one resampling; what comes in at the border is the picture mirrored,
    since edges drawn out into stripes look like nothing a camera sees."""
    angle = r[0] * math.radians(how.rotate_deg)
    zoom = 1 + r[1] * how.scale
    flip_x = torch.where(r[4] > 0, 1.0, -1.0) if how.flip_horizontal else torch.ones_like(r[4])
    flip_y = torch.where((r[4] * 8).floor() % 2 > 0, 1.0, -1.0) if how.flip_vertical else torch.ones_like(r[4])
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows_x = torch.stack([cos * flip_x, -sin * flip_y, r[2] * 2 * how.shift], dim=-1)
    rows_y = torch.stack([sin * flip_x, cos * flip_y, r[3] * 2 * how.shift], dim=-1)
    grid = F.affine_grid(torch.stack([rows_x, rows_y], dim=1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _relit(pixels: Tensor, how: Augmentation, r: Tensor, per_channel: Tensor) -> Tensor:
    """Brightness, contrast and colour of the light."""
    middle = pixels.mean(dim=(1, 2, 3), keepdim=True)
    contrasted = middle + (pixels - middle) * (1 + r[0] * how.contrast)
    tint = 1 + per_channel * how.colour
    return contrasted * (1 + r[1] * how.brightness) * tint


def _erased(pixels: Tensor, side: float, r: Tensor) -> Tensor:
    """A square of each picture made grey, wherever it fits; `r`: 2×N from 0 to 1."""
    size = pixels.shape[-1]
    ticks = (torch.arange(size, device=pixels.device) + 0.5) / size
    start = (r * (1 - side)).unsqueeze(-1)
    columns, rows = (ticks >= start) & (ticks < start + side)
    return pixels.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), ERASED)
