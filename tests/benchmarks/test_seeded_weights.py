"""Weights by seed for nets that have no public ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgetl.benchmarks.seeded_weights import write_seeded_weights
from edgetl.errors import EdgetlError
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.runtime.sim import write_dataset
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network, pixels_of
from edgetl.trainer.weights import load_into

NAME, SIZE = "mobilenet_v2_050", 64


@torch.no_grad()
def spread(network: Network, pixels: Tensor) -> float:
    """How much the features differ between pictures, against their size."""
    found = network.eval().features(pixels)
    return float(found.std(dim=0).mean() / found.abs().mean())


@pytest.mark.slow
def test_features_of_a_random_net_differ_between_pictures(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", seed=0, pictures_per_class=8, width=96, height=72)
    how = Preprocessing(size=SIZE)
    file = write_seeded_weights(NAME, tmp_path / "data", how, tmp_path / "body.pth")
    shown = sorted((tmp_path / "data").rglob("*.jpg"))[::3]
    pixels = pixels_of(torch.from_numpy(np.stack([preprocess(read_picture(path), how) for path in shown])))
    torch.manual_seed(0)
    network = Network(describe(NAME), 2, SIZE)
    plain = spread(network, pixels)
    load_into(network, str(file))
    assert spread(network, pixels) > 1.5 * plain


@pytest.mark.slow
@torch.no_grad()
def test_class_token_of_a_transformer_is_not_lost_beside_its_patches(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", seed=0, pictures_per_class=1, width=96, height=72)
    file = write_seeded_weights("vit_tiny", tmp_path / "data", Preprocessing(size=SIZE), tmp_path / "body.pth")
    network = Network(describe("vit_tiny"), 2, SIZE).eval()

    def step_of_the_token() -> float:
        """How many of int8's steps for all tokens, class token and patches, the class token differs by from place to place."""
        net = network.net
        tokens = net.pos_drop(net._pos_embed(net.patch_embed(torch.randn(8, 3, SIZE, SIZE))))  # type: ignore[operator]
        return float(tokens[:, 0].std() / ((tokens.max() - tokens.min()) / 255))

    assert step_of_the_token() < 4
    load_into(network, str(file))
    assert step_of_the_token() > 15


@pytest.mark.slow
def test_program_that_failed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EdgetlError, match="weights by seed for mobilenet_v2_050: exit code 1"):
        write_seeded_weights(NAME, tmp_path / "none", Preprocessing(size=SIZE), tmp_path / "body.pth")
