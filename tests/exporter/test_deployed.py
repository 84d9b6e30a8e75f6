"""The graph that ships computes what the trained network computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgetl.exporter.deployed import Deployed
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network

SIZE = 64
# With a stem of stride 2 and padding; and one that pads by itself, unevenly, as TensorFlow does.
NAMES = ("mobilenet_v2_050", "resnet18", "efficientnet_lite0", "mobilenet_v3_small")


def network(name: str) -> Network:
    torch.manual_seed(0)
    made = Network(describe(name), 5, SIZE)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return made.eval()


def pictures() -> Tensor:
    """Noise, black, white, and white with a black frame, where a wrong border shows most."""
    numbers = torch.Generator().manual_seed(1)
    framed = torch.full((3, SIZE, SIZE), 255.0)
    framed[:, [0, -1], :] = framed[:, :, [0, -1]] = 0.0
    noise = torch.randint(0, 256, (3, SIZE, SIZE), generator=numbers).float()
    return torch.stack([noise, torch.zeros(3, SIZE, SIZE), torch.full((3, SIZE, SIZE), 255.0), framed])


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_logits_are_the_networks(name: str) -> None:
    net = network(name)
    expected = net(pictures())
    assert float(expected.std(dim=0).max()) > 1e-3  # the pictures are told apart at all
    assert torch.allclose(Deployed(net)(pictures()), expected, atol=1e-4 * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_every_place_of_the_stem_is_the_networks_borders_too(name: str) -> None:
    net = network(name)
    deployed = Deployed(net)
    stem = net.net.get_submodule(net.backbone.stem)
    shipped = deployed.net.get_submodule(net.backbone.stem)
    expected = stem((pictures() - net.mean) / net.scale)
    found = shipped(pictures() + deployed.shift)
    assert torch.allclose(found, expected, atol=1e-4)
    # The same with the mean folded into a bias would differ there: this shows that the borders do say something.
    folded = shipped(pictures()) + shipped(deployed.shift.expand(1, 3, SIZE, SIZE))[:, :, 8:9, 8:9]
    assert not torch.allclose(folded[:, :, :1], expected[:, :, :1], atol=1e-2)


@torch.inference_mode()
def test_network_itself_is_left_as_it_was() -> None:
    net = network("mobilenet_v2_050")
    before = net(pictures())
    Deployed(net)
    assert torch.equal(net(pictures()), before)
