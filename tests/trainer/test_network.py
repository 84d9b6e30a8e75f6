"""The network takes raw pixels; what a pretrained net expects of its input is its own affair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network, best_device, channels_last, pixels_of

NAMES = ("mobilenet_v2_050", "mobilenet_v3_small", "mobilenet_v4_small", "efficientnet_lite0", "resnet18")


def picture(size: int = 64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, size, size, 3), np.uint8))


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_normalization_inside_is_the_one_that_the_backbone_names(name: str) -> None:
    backbone = describe(name)
    network = Network(backbone, 4, 64).eval()
    plain = picture().numpy().astype(np.float64) / 255
    normal = (plain - np.array(backbone.mean)) / np.array(backbone.std)
    by_hand = network.net(torch.from_numpy(normal.transpose(0, 3, 1, 2).astype(np.float32)))
    assert torch.allclose(network(pixels_of(picture())), by_hand, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_features_through_the_head_are_the_logits(name: str) -> None:
    """Where a probe is fitted to features and then judged as part of the network, these two must be one."""
    network = Network(describe(name), 4, 64).eval()
    pixels = pixels_of(picture())
    features = network.features(pixels)
    assert features.shape == (2, network.head.in_features)
    assert torch.allclose(network.head(features), network(pixels), rtol=1e-4, atol=1e-5)


def test_pixels_keep_their_place_and_value() -> None:
    images = picture(32)
    pixels = pixels_of(images)
    assert pixels.dtype == torch.float32 and pixels.is_contiguous(memory_format=torch.channels_last)
    for y, x, channel in ((0, 0, 0), (3, 17, 1), (31, 2, 2)):
        assert pixels[1, channel, y, x] == images[1, y, x, channel]


@torch.inference_mode()
def test_order_in_memory_does_not_change_the_answer() -> None:
    network = Network(describe("mobilenet_v2_050"), 4, 64).eval()
    before = network(pixels_of(picture()))
    assert torch.allclose(channels_last(network)(pixels_of(picture())), before, rtol=1e-4, atol=1e-5)


def test_normalization_is_no_part_of_the_weights() -> None:
    """Else a file of weights could change what the pixels mean."""
    network = Network(describe("mobilenet_v2_050"), 4, 64)
    assert all(name.startswith("net.") for name in network.state_dict())


def test_device_that_was_asked_for_is_taken() -> None:
    assert best_device("cpu").type == "cpu"
    assert best_device("auto").type in ("cpu", "cuda", "mps")
