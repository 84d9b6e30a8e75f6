"""What a training run was asked to do; written to the run as args.yaml."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.errors import UsageError

Recipe = Literal["probe", "finetune"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one run. Rates are AdamW's for the head; earlier layers get `layer_decay` times less each."""

    data: str
    model: str
    weights: str = "auto"
    recipe: Recipe = "finetune"
    imgsz: int = 224
    resize: Literal["squash", "fit-shortest", "fit-longest"] = "squash"
    region: tuple[float, float, float, float] | None = None
    epochs: int = 9
    patience: int = 8
    batch: int = 32
    learning_rate: float | None = None
    layer_decay: float = 0.85
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    augmentation: Literal["none", "part", "texture", "natural"] = "natural"
    ok: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        _require(1 <= self.epochs <= 10_000, f"--epochs {self.epochs} must be from 1 to 10000")
        _require(2 <= self.batch <= 4096, f"--batch {self.batch} must be from 2 to 4096")
        _require(32 <= self.imgsz <= 1024, f"--imgsz {self.imgsz} must be from 32 to 1024 px")
        _require(0 < self.layer_decay <= 1, f"--layer-decay {self.layer_decay} must be above 0 and at most 1")
        rate = self.learning_rate
        _require(rate is None or 0 < rate < 10, f"--lr {rate} must be above 0 and below 10")

    @property
    def rate(self) -> float:
        """The head's learning rate: larger where nothing pretrained can be lost."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 4e-3 if self.weights == "none" else 1e-3


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)
