"""Mixup and CutMix: pictures are blended or pasted into each other, and their labels with them. Both are torchvision's."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from edgetl.trainer.torch_stack import import_timm

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # N×3×S×S pixels and N classes to pixels and N×classes shares


def mixing(mixup: float, cutmix: float, classes: int) -> Mix | None:
    """What mixes a batch, one of the two at random where both are asked for; None where neither is.

    For sorting rather than for small defects: CutMix may paste a defect away.
    """
    if not mixup and not cutmix:
        return None
    import_timm()  # makes torchvision importable
    from torchvision.transforms import v2

    ways = [v2.MixUp(alpha=mixup, num_classes=classes)] if mixup else []
    ways += [v2.CutMix(alpha=cutmix, num_classes=classes)] if cutmix else []
    mix: Mix = v2.RandomChoice(ways)
    return mix
