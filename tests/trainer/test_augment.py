"""What training does to pictures: what a camera over a line would do, and no more."""

from __future__ import annotations

import math

import msgspec
import pytest
import torch
from torch import Tensor

from edgetl.trainer.augment import ERASED, PRESETS, Augmentation, augment

NOTHING = PRESETS["none"]
SIDE = 48


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 4, side: int = SIDE) -> Tensor:
    return torch.rand(count, 3, side, side, generator=generator(99)) * 255


def dots(count: int) -> Tensor:
    """Black pictures with a soft bright dot right of the middle, a third of the way to the edge."""
    ticks = torch.arange(SIDE, dtype=torch.float32)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    dot = 250 * torch.exp(-((x - SIDE * 0.66) ** 2 + (y - SIDE * 0.5) ** 2) / 8)
    return dot.expand(count, 3, SIDE, SIDE).clone()


def place(pictures: Tensor) -> Tensor:
    """Where the dots are: N×2, in pixels from the middle."""
    grey = pictures.mean(dim=1)
    ticks = torch.arange(SIDE) - (SIDE - 1) / 2
    total = grey.sum(dim=(1, 2))
    return torch.stack(
        [(grey.sum(dim=1) * ticks).sum(dim=1) / total, (grey.sum(dim=2) * ticks).sum(dim=1) / total], dim=1
    )


@pytest.mark.parametrize("side", [32, 33, 96])
def test_none_changes_nothing(side: int) -> None:
    pixels = noise(3, side)
    assert torch.allclose(augment(pixels, NOTHING, generator()), pixels, atol=0.05)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_generator_alone_decides(preset: str) -> None:
    pixels = noise()
    torch.manual_seed(1)
    once = augment(pixels, PRESETS[preset], generator(5))
    torch.manual_seed(2)
    assert torch.equal(once, augment(pixels, PRESETS[preset], generator(5)))
    if preset != "none":
        assert not torch.equal(once, augment(pixels, PRESETS[preset], generator(6)))


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("value", [0.0, 255.0])
def test_pixels_stay_pixels(preset: str, value: float) -> None:
    extreme = torch.where(noise(8) > 128, 255.0, value)
    changed = augment(extreme, PRESETS[preset], generator())
    assert changed.shape == extreme.shape
    assert torch.isfinite(changed).all()
    assert float(changed.min()) >= 0.0 and float(changed.max()) <= 255.0


def test_input_is_not_written_to() -> None:
    pixels = noise()
    before = pixels.clone()
    augment(pixels, PRESETS["texture"], generator())
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("preset", ["part", "texture", "scene", "natural"])
def test_change_of_one_picture_does_not_depend_on_the_others(preset: str) -> None:
    """Nor, as it is told no labels, on the class."""
    batch = noise(4)
    other = batch.clone()
    other[1:] = 255 - other[1:]
    first, second = (augment(b, PRESETS[preset], generator(3)) for b in (batch, other))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_flips_are_exact_mirror_images_and_all_of_them_occur() -> None:
    pixels = noise(1).expand(64, -1, -1, -1).clone()
    both = Augmentation(True, True, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    images = {"as it was": [], "mirrored": [2], "upside down": [1], "both": [1, 2]}
    found = set()
    for changed in augment(pixels, both, generator()):
        found |= {name for name, axes in images.items() if torch.allclose(changed, pixels[0].flip(axes), atol=0.05)}
    assert found == set(images)


def test_part_is_never_mirrored_and_hardly_turned() -> None:
    """What is left and right on a part may tell good from bad."""
    places = place(augment(dots(64), PRESETS["part"], generator()))
    assert (places[:, 0] > 0).all()
    assert (places[:, 1].abs() < SIDE * 0.1).all()


def test_rotation_turns_about_the_middle_without_distortion() -> None:
    pictures = dots(64)
    turned = augment(pictures, Augmentation(False, False, 180.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), generator())
    before, after = place(pictures), place(turned)
    assert torch.allclose(after.norm(dim=1), before.norm(dim=1), atol=0.3)
    angles = torch.atan2(after[:, 1], after[:, 0])
    quarters = set(((angles + math.pi) / (math.pi / 2)).floor().clamp(0, 3).int().tolist())
    assert quarters == {0, 1, 2, 3}


def test_shift_moves_up_to_its_limit_and_not_beyond() -> None:
    pictures = dots(64)
    moved = augment(pictures, Augmentation(False, False, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), generator())
    steps = (place(moved) - place(pictures)).abs() / SIDE
    assert 0.08 < float(steps.max()) <= 0.101


def test_scale_changes_the_size_up_to_its_limit_and_not_beyond() -> None:
    pictures = dots(64)
    zoomed = augment(pictures, Augmentation(False, False, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0), generator())
    ratio = place(zoomed)[:, 0] / place(pictures)[:, 0]
    assert 1 / 1.21 <= float(ratio.min()) < 0.9
    assert 1.1 < float(ratio.max()) <= 1 / 0.79


def test_light_and_noise_stay_within_their_limits() -> None:
    grey = torch.full((64, 3, SIDE, SIDE), 100.0)
    lit = augment(grey, Augmentation(False, False, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0), generator())
    means = lit.mean(dim=(1, 2, 3))
    assert 79.9 <= float(means.min()) < 90 and 110 < float(means.max()) <= 120.1
    noisy = augment(grey, Augmentation(False, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0), generator())
    assert 2 < float(noisy.std(dim=(1, 2, 3)).max()) < 4.2
    assert torch.allclose(noisy.mean(dim=(1, 2, 3)), torch.tensor(100.0), atol=0.5)


def test_one_square_of_a_picture_is_erased_and_nothing_else_changes() -> None:
    white = torch.full((400, 3, SIDE, SIDE), 255.0)
    erased = augment(white, msgspec.structs.replace(NOTHING, erase=0.25), generator()) == ERASED
    assert torch.equal(erased.all(dim=1), erased.any(dim=1))
    rows, columns = erased[:, 0].any(dim=2).sum(dim=1), erased[:, 0].any(dim=1).sum(dim=1)
    for side in (rows, columns):  # pixels
        assert int(side.min()) >= SIDE // 4 - 1 and int(side.max()) <= SIDE // 4 + 1
    assert torch.equal(erased[:, 0].sum(dim=(1, 2)), rows * columns), "not a rectangle"
    assert erased[:, 0, 3:-3, 3:-3].any(dim=0).all(), "some place is never erased"


def sharpness(pictures: Tensor) -> Tensor:
    """How much neighbours differ, by picture."""
    return (pictures[..., 1:] - pictures[..., :-1]).abs().mean(dim=(1, 2, 3))


def test_blur_of_parts_is_rare_and_mild() -> None:
    """Too much of it, and a net is taught to overlook fine scratches: most pictures must stay as sharp as they were."""
    part = msgspec.structs.replace(NOTHING, blur=PRESETS["part"].blur, softness=PRESETS["part"].softness)
    pictures = noise(400)
    left = sharpness(augment(pictures, part, generator())) / sharpness(pictures)
    blurred = left < 0.99
    assert 0 < float(blurred.float().mean()) <= 0.1
    assert 0.4 < float(left[blurred].mean()) < 0.7
    full = msgspec.structs.replace(part, blur=1.0, softness=1.0)
    assert float((sharpness(augment(pictures, full, generator())) / sharpness(pictures)).max()) < 0.4


@pytest.mark.parametrize("preset", PRESETS)
def test_grey_cameras_see_no_colour(preset: str) -> None:
    grey = noise(8)[:, :1].expand(-1, 3, -1, -1).contiguous()
    changed = augment(grey, PRESETS[preset], generator(), grey=True)
    assert torch.equal(changed, changed[:, :1].expand(-1, 3, -1, -1))
    if PRESETS[preset].colour > 0:
        tinted = augment(grey, PRESETS[preset], generator())
        assert not torch.equal(tinted, tinted[:, :1].expand(-1, 3, -1, -1))
