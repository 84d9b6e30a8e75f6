"""The `drift` section of a line's file."""

from __future__ import annotations

from typing import Annotated

import msgspec


class DriftSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a line is watched.

    A window closes when it holds `window_parts` and has lasted `window_s`. The first `baseline_windows` say what this
    line looks like; `baseline` names a file that keeps them over restarts, so that slow ageing is seen too.
    `tolerance` is how far a mean may move before it counts, in standard deviations of the training pictures.
    `false_alarms_per_shift` bounds how often a line that stays within it is called drifted, over all figures
    together, in a shift of `shift_h` hours.
    """

    enabled: bool = True
    window_parts: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 50
    window_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    baseline_windows: Annotated[int, msgspec.Meta(ge=5, le=1000)] = 20
    baseline: str | None = None
    tolerance: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.5
    false_alarms_per_shift: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.01
    shift_h: Annotated[float, msgspec.Meta(gt=0, le=24)] = 8.0
