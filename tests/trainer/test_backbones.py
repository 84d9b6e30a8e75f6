"""Every name that is offered leads to a net that can be trained and exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgetl.errors import UsageError
from edgetl.trainer.backbones import PLAIN_NAMES, create, describe
from edgetl.trainer.torch_stack import import_timm
from tests.cli.calling import call, refused


@pytest.mark.parametrize("name", sorted(PLAIN_NAMES))
def test_plain_name_resolves_to_a_net_with_stem_and_classifier(name: str) -> None:
    backbone = describe(name)
    assert import_timm().is_model(backbone.timm_name)
    with torch.device("meta"):  # the layers without their numbers
        net = create(backbone, 7, 96)
    stem, head = net.get_submodule(backbone.stem), net.get_submodule(backbone.classifier)
    assert isinstance(stem, nn.Conv2d) and stem.in_channels == 3
    assert isinstance(head, nn.Linear) and head.out_features == 7
    assert len(backbone.mean) == len(backbone.std) == 3
    assert all(0 <= m <= 1 for m in backbone.mean) and all(0 < s <= 1 for s in backbone.std)


def test_prefix_means_timms_own_net() -> None:
    assert describe("efficientnet_lite0").timm_name == "tf_efficientnet_lite0"
    assert describe("timm:efficientnet_lite0").timm_name == "efficientnet_lite0"
    assert describe("mobilenetv3_small_050").timm_name == "mobilenetv3_small_050"


def test_net_that_must_know_the_size_of_the_picture_is_told() -> None:
    backbone = describe("timm:vit_tiny_patch16_224")
    with torch.no_grad():
        assert create(backbone, 3, 64)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


@pytest.mark.parametrize("name", ["mobilnet_v2", "", "timm:", "../../etc/passwd"])
def test_unknown_name_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe(name)
    assert repr(name) in str(caught.value)
    assert "mobilenet_v2, " in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("mobilnet_v2", "mobilenet_v2"), ("resnet19", "resnet18"), ("timm:vit_tinny_patch16_224", "vit_tiny_patch16_224")],
)
def test_near_miss_is_told_what_it_may_have_meant(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe(typed)
    assert meant in str(caught.value).partition("did you mean ")[2]


def test_unknown_name_on_the_command_line(small_data: Path, tmp_path: Path) -> None:
    answer = call("train", "--data", small_data, "--model", "mobilenetv9_x", "--imgsz", 32, "--out", tmp_path / "run")
    refused(answer, 2, "E_USAGE", "'mobilenetv9_x'", "efficientnet_lite0", "resnet18")
