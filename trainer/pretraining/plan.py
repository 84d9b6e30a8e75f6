"""What a pretraining is asked to do, and the two settings that have names."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetl.errors import UsageError
from edgetl.trainer.pretraining.pictures import HEADS

Setting = Literal["small", "full"]
DESCRIPTOR = "descriptor"  # a head that no label of a picture stands for: what it is asked follows from the picture
ASKED = (*HEADS, DESCRIPTOR)
WARM_UP, DECAY_FROM = 100, 0.7  # steps; share of all steps


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`formulas` is the number of classes, `pictures` how many are drawn of them, `heads` what is asked of each.

    Until the learning rate falls, the net sees parts of the pictures at `early_imgsz`, which is quicker; then the whole
    of them at `imgsz`.
    """

    model: str = "mobilenet_v2_050"
    formulas: int = 512
    pictures: int = 60_000
    imgsz: int = 96
    early_imgsz: int = 64
    steps: int = 24_000
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    heads: tuple[str, ...] = ASKED
    seed: int = 0

    def __post_init__(self) -> None:
        _require(2 <= self.batch <= self.pictures, f"--pictures must be at least the batch of {self.batch}")
        _require(self.steps > 0, "--steps must be above 0")
        _require(32 <= self.imgsz <= 512, f"--imgsz {self.imgsz} must be from 32 to 512 px")
        _require(self.early_imgsz >= 32, f"--early-imgsz {self.early_imgsz} must be at least 32 px")
        _require(self.formulas > 1, "--formulas must be at least 2")
        _require(len(self.heads) > 0 and set(self.heads) <= set(ASKED), f"--heads takes any of {', '.join(ASKED)}")

    def rate(self, step: int) -> float:
        """The learning rate at a step: it rises, stays, and falls to nothing in the last part.

        While it stays, nothing depends on the number of steps, so that a run can be resumed with another number and
        ends as if that had been the plan from the start.
        """
        warm_up, decay = min(WARM_UP, max(1, self.steps // 10)), self._decay
        if step < decay:
            return self.learning_rate * min(1.0, (step + 1) / warm_up)
        left = 1 - (step - decay) / (self.steps - decay)
        return self.learning_rate * left * left

    def side(self, step: int) -> int:
        """The side in pixels of what the net sees at a step."""
        return min(self.early_imgsz, self.imgsz) if step < self._decay else self.imgsz

    @property
    def _decay(self) -> int:
        """The step from which the learning rate falls."""
        return int(self.steps * DECAY_FROM)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)


SETTINGS: dict[Setting, Plan] = {
    "small": Plan(),
    "full": Plan(
        formulas=1_024, pictures=300_000, imgsz=128, early_imgsz=96, steps=40_000, batch=256, learning_rate=4e-3
    ),
}
