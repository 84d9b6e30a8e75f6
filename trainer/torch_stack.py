"""Imports timm and open_clip even where torchvision's compiled part does not fit the installed torch.

A torchvision wheel that was built for CUDA fails to import beside a CPU build of torch, because its operators
`torchvision::nms` and `torchvision::qnms` are missing. timm and open_clip need torchvision for its transforms and layers,
never for these two operators, so declaring them without an implementation is enough.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch

from edgetl.trainer.importing import lasting

_declared: list[Any] = []


def import_timm() -> ModuleType:
    """timm, with torchvision made importable first if it has to be."""
    if "timm" not in sys.modules:
        with lasting():
            _make_torchvision_importable()
            import timm  # noqa: F401
    return sys.modules["timm"]


def import_open_clip() -> ModuleType:
    """open_clip, likewise."""
    _make_torchvision_importable()
    import open_clip

    module: ModuleType = open_clip
    return module


def _make_torchvision_importable() -> None:
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _declare_operators()


def _declare_operators() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # the half-imported package would be taken for a whole one
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)  # the operators live as long as their library object
    import torchvision  # noqa: F401
