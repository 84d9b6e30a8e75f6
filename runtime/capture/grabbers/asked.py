"""What was asked of a camera and what it has instead, in words."""

from __future__ import annotations

from collections.abc import Mapping

from edgetl.runtime.capture.config import CameraConfig

SETTINGS = ("width", "height", "fps", "format", "exposure_ms", "gain", "white_balance_k", "focus")
CLOSE = 0.01  # of the value asked: nearer than that counts as taken


def difference(name: str, asked: float, has: float, close: float = CLOSE) -> str | None:
    """How a camera's value differs from the one asked, if it does."""
    if abs(has - asked) <= close * abs(asked):
        return None
    return f"{name}: asked {asked:g}, the camera has {has:g}"


def not_taken(config: CameraConfig, has: Mapping[str, float]) -> tuple[str, ...]:
    """What was asked of a camera that takes nothing from here; `has` holds what it is known to be set to, by name."""
    told = []
    for name in SETTINGS:
        asked = getattr(config, name)
        if asked is None:
            continue
        if name in has:
            told.append(difference(name, asked, has[name]))
        else:
            told.append(f"{name}: asked {asked}, but it can only be set in the camera or its address")
    return tuple(said for said in told if said is not None)
