"""Which layers learn, and how fast."""

from __future__ import annotations

import pytest

from edgetl.trainer.backbones import describe
from edgetl.trainer.layers import Layers
from edgetl.trainer.network import Network
from edgetl.trainer.settings import Settings


def made(**changes: object) -> tuple[Network, Layers]:
    network = Network(describe("mobilenet_v2_050"), 3, 32)
    plain = {"data": "d", "model": "mobilenet_v2_050", "recipe": "finetune", "epochs": 5}
    settings = Settings(**{**plain, **changes})  # type: ignore[arg-type]
    return network, Layers(network, settings)


def test_every_parameter_is_in_one_group_and_the_head_is_fastest() -> None:
    network, layers = made(layer_decay=0.5)
    ids = [id(p) for group in layers.groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    rates = {group["depth"]: group["base_lr"] for group in layers.groups}
    assert all(rates[d] == pytest.approx(0.5 * rates[d + 1]) for d in range(layers.count - 1))
    head = {id(p) for p in network.head.parameters()}
    assert head <= {id(p) for group in layers.groups if group["depth"] == layers.count - 1 for p in group["params"]}


@pytest.mark.parametrize("name", ["mobilenet_v2_050", "resnet18", "vit_tiny", "efficientnet_lite0"])
def test_first_layers_are_slower_by_the_same_ratio_however_deep_the_net(name: str) -> None:
    network = Network(describe(name), 3, 32)
    for ratio, expected in ((None, 20.0), (100.0, 100.0)):
        changes = {} if ratio is None else {"layer_ratio": ratio}
        layers = Layers(network, Settings(data="d", model=name, recipe="finetune", **changes))  # type: ignore[arg-type]
        rates = {group["depth"]: group["base_lr"] for group in layers.groups}
        assert rates[layers.count - 1] / rates[0] == pytest.approx(expected)
        steps = [rates[d + 1] / rates[d] for d in range(layers.count - 1)]
        assert steps == pytest.approx([steps[0]] * len(steps))


def test_from_nothing_all_layers_learn_alike() -> None:
    _, layers = made(weights="none")
    assert len({group["base_lr"] for group in layers.groups}) == 1


def test_blocks_hold_the_first_two_thirds_still() -> None:
    network, layers = made(recipe="blocks")
    layers.hold(layers.held(0.0))
    free = {name for name, p in network.named_parameters() if p.requires_grad}
    assert any("classifier" in name for name in free) and not any("conv_stem" in name for name in free)
    assert layers.held(0.0) == layers.held(1.0) == layers.count - round(layers.count / 3)


def test_layers_are_freed_one_after_another_from_the_head_down() -> None:
    _, layers = made(unfreeze=0.5)
    held = [layers.held(share / 10) for share in range(11)]
    assert held[0] == layers.count - 1
    assert held == sorted(held, reverse=True)
    assert len(set(held)) > 3
    assert held[5:] == [0] * 6


def test_the_head_stays_free_whatever_is_held_against_overfitting() -> None:
    network, layers = made()
    layers.hold(layers.held(0.5, more=1000))
    assert all(p.requires_grad for p in network.head.parameters())
    assert layers.held(0.5, more=3) == 3
    assert layers.held(1.0, layers.more_for(5)) == 5
    layers.hold(0)
    assert all(p.requires_grad for p in network.parameters())
