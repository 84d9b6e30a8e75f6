"""The registry of backbones: plain names for timm's, and what a file of weights expects of its input."""

from __future__ import annotations

import difflib
from typing import Any

import msgspec

from edgetl.errors import UsageError
from edgetl.trainer.normalization import Normalization
from edgetl.trainer.torch_stack import import_timm

# Plain name: timm's. The Lite nets are the TensorFlow-trained ones, since timm has weights for all five of those.
PLAIN_NAMES = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v2_050": "mobilenetv2_050",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v4_small": "mobilenetv4_conv_small",
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "efficientnet_lite1": "tf_efficientnet_lite1",
    "efficientnet_lite2": "tf_efficientnet_lite2",
    "efficientnet_lite3": "tf_efficientnet_lite3",
    "efficientnet_lite4": "tf_efficientnet_lite4",
    "efficientnet_b0": "efficientnet_b0",
    "resnet_tiny": "test_resnet",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "vit_tiny": "vit_tiny_patch16_224",
}
TIMM_PREFIX = "timm:"  # `timm:efficientnet_lite0` is timm's own net where a plain name means another


class Backbone(msgspec.Struct, frozen=True):
    """One architecture: timm's name, its input normalization (of pixels 0 to 1), stem and classifier modules. `stem` is "" where
    several convolutions see the picture."""

    name: str
    timm_name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stem: str
    classifier: str

    @property
    def normalization(self) -> Normalization:
        """What its weights expect of their input."""
        return Normalization(self.mean, self.std)

    def expecting(self, normalization: Normalization | None) -> Backbone:
        """The same architecture whose weights expect another input; None leaves it as it is."""
        if normalization is None:
            return self
        return msgspec.structs.replace(self, mean=normalization.mean, std=normalization.std)


def timm_name_of(name: str) -> str:
    """timm's name for a plain name; any other name passes through. Raises UsageError for an unknown one."""
    timm_name = PLAIN_NAMES.get(name, name.removeprefix(TIMM_PREFIX))
    timm = import_timm()
    if timm.is_model(timm_name):
        return timm_name
    near = difflib.get_close_matches(timm_name, [*PLAIN_NAMES, *timm.list_models()], n=3, cutoff=0.75)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UsageError(f"unknown model {name!r}; choose from {', '.join(PLAIN_NAMES)} or a name of timm's{hint}")


def describe(name: str) -> Backbone:
    """The backbone of a plain or timm name. Raises UsageError."""
    timm_name = timm_name_of(name)
    cfg: Any = import_timm().get_pretrained_cfg(timm_name)
    return Backbone(
        name=name,
        timm_name=timm_name,
        mean=tuple(cfg.mean),
        std=tuple(cfg.std),
        stem=cfg.first_conv if isinstance(cfg.first_conv, str) else "",
        classifier=_first(cfg.classifier),
    )


def _first(module: str | tuple[str, ...] | None) -> str:
    if isinstance(module, tuple):
        return module[0]
    return module or ""


def create(backbone: Backbone, classes: int, size: int) -> Any:
    """The untrained net with a classifier for that many classes (a torch module, N×3×S×S float in)."""
    timm = import_timm()
    try:  # transformers must be told the picture's size; convolutional nets do not know the word
        return timm.create_model(backbone.timm_name, num_classes=classes, img_size=size)
    except TypeError:
        return timm.create_model(backbone.timm_name, num_classes=classes)
