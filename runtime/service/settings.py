"""The `service:` section of a line's file."""

from __future__ import annotations

from typing import Annotated

import msgspec


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`max_temperature_c`: from there on, or while the processor is throttled, only every `slow_every`-th frame of a
    camera is judged, until it is 5 °C cooler. `stuck_after_s`: a line that lets no frame through for so long is stuck
    (default: a second longer than the camera's `frame_timeout_s`). `log_level`: the least serious messages that are
    logged."""

    max_temperature_c: Annotated[float, msgspec.Meta(ge=30, le=120)] = 85.0
    slow_every: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    stuck_after_s: Annotated[float, msgspec.Meta(ge=0.5, le=3600)] | None = None
    log_level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"
