"""The `camera:` section of a line's file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edgetl.runtime.capture.pauses import LONGEST_PAUSE_S

Auto = Literal["auto"]
Pixels = Annotated[int, msgspec.Meta(ge=16, le=16384)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=100_000)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=100_000)]
Timeout = Annotated[float, msgspec.Meta(ge=0.2, le=120)]


class CameraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a camera is to be set, and how long it may take. None leaves a setting as the camera has it.

    `strict`: a picture of a video stream that the decoder had to patch up, or that rests on one, is a FAULT.

    `format` is the FOURCC asked of a V4L2 camera (MJPG, YUYV, …). `gain` and `focus` are in the camera's own units.
    `frame_timeout_s`: no frame for that long is a FAULT; for a camera slower than one frame in two seconds set it
    higher. Between tries to open a camera the pauses grow up to `retry_pause_s`. `required_at_start`: end at once if the camera is not there, instead of waiting for it.
    """

    width: Pixels | None = None
    height: Pixels | None = None
    fps: Positive | None = None
    format: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9 ]{4}$")] | None = None
    exposure_ms: Positive | Auto | None = None
    gain: NotNegative | None = None
    white_balance_k: Positive | Auto | None = None
    focus: NotNegative | Auto | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Timeout = 5.0
    frame_timeout_s: Timeout = 2.0
    retry_pause_s: Annotated[float, msgspec.Meta(ge=0.01, le=60)] = LONGEST_PAUSE_S
    required_at_start: bool = False
    strict: bool = True
