"""What one export was asked to do."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from edgetl.errors import UsageError
from edgetl.exporter.ladder.gate import Limits
from edgetl.exporter.targets import Target

BUDGET_MIN = 30.0  # minutes; a fine-tuned rung of a MobileNetV2 at 224 px fits in on two cores


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to export. `data` overrules the folder named in the run, `calibration` the run's calibration pictures;
    `rung` forces one rung; after `budget_min` minutes no further rung begins; `converter` is another program than ours."""

    out: Path
    data: Path | None = None
    calibration: Path | None = None
    limits: Limits = Limits()
    rung: str | None = None
    budget_min: float = BUDGET_MIN
    min_score: float = 0.5
    with_float: bool = True
    keep: Path | None = None
    target: Target | None = None
    converter: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise UsageError(f"--min-score {self.min_score}: not a probability from 0 to 1")
        if math.isnan(self.budget_min) or self.budget_min < 0:
            raise UsageError(f"--budget {self.budget_min}: not a number of minutes")

    @property
    def name(self) -> str:
        """The bundle's name: its file's, without the ending."""
        return self.out.name.removesuffix(".edgetl")
