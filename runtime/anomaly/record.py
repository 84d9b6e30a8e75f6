"""What a manifest says of a detector: the feature maps that its models give, the banks, and the threshold."""

from __future__ import annotations

from typing import Annotated

import msgspec

from edgetl.errors import ModelError

ANOMALY = "anomaly"  # the label of every part that is not like the good ones

_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of one feature map in a model's output: height×width places of so many channels."""

    height: _Count
    width: _Count
    channels: _Count

    @property
    def values(self) -> int:
        """How many numbers of the output it takes."""
        return self.height * self.width * self.channels


class BankRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bank of one model file: the member that holds it; the distance up to which a part is good, as that file measures
    it; and the standard deviation of good parts' distances, as logarithms."""

    member: str
    threshold: _Positive
    spread: _Positive


class DetectorRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How distances become verdicts.

    A model's output holds the maps of `grids` one behind the other, the finest first. `banks` holds for each model file,
    by its path, where its `entries` remembered patches are; their thresholds were chosen from `held_out` good pictures so
    that a share `false_alarm` of good parts lies above.
    """

    grids: tuple[Grid, ...]
    entries: _Count
    false_alarm: float
    held_out: int
    banks: dict[str, BankRecord] = {}

    def __post_init__(self) -> None:
        if not self.grids:
            raise ModelError("a detector needs at least one feature map")
        if any(g.height > self.grids[0].height or g.width > self.grids[0].width for g in self.grids):
            raise ModelError("the finest feature map of a detector must come first")

    @property
    def values(self) -> int:
        """How many numbers a model gives for a picture."""
        return sum(grid.values for grid in self.grids)

    @property
    def channels(self) -> int:
        """How many numbers describe one patch."""
        return sum(grid.channels for grid in self.grids)
