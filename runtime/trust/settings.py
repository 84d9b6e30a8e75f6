"""The `trust:` section of a line's file."""

from __future__ import annotations

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class TrustSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`max_age_s`: an older frame is a FAULT. `frozen_after_s`: a camera's picture that has not changed by one grey
    level for that long is UNKNOWN (None: 1 s, and 10 s for streams whose encoder may skip what does not move; 0: never).
    `quality`: off leaves exposure and sharpness alone. `sharpness_share`: a picture with less than that share of the
    sharpness of the least sharp training picture is UNKNOWN. `max_latency_ms`: a verdict that comes later than that
    after its frame is UNKNOWN, since the part is gone (None: however late).
    """

    max_age_s: Seconds = 2.0
    frozen_after_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    quality: bool = True
    sharpness_share: Share = 0.5
    max_latency_ms: Annotated[float, msgspec.Meta(gt=0, le=3_600_000)] | None = None
