"""What every source offers."""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from edgetl.runtime.preprocess import Image


class Frame(msgspec.Struct, frozen=True):
    """One frame, or the news that there should have been one.

    `image` is H×W×3 uint8 BGR, or None with the reason in `fault`. `arrived_s` is on the monotonic clock; `time_s`
    is the frame's place in the recording, or equals `arrived_s` for a camera. `part` is set by a source that knows
    when a part is in place (a light barrier); such a source sets it on one frame for each part. `passed_over`: how many
    frames came before it that gave way to newer ones.
    """

    index: int
    name: str
    image: Image | None
    arrived_s: float
    time_s: float
    fault: str | None = None
    part: int | None = None
    passed_over: int = 0


class Source(Protocol):
    """An open source. `live`: frames come whether or not they are taken, so old ones may be dropped.
    `triggered`: only frames with a part are to be judged."""

    name: str
    live: bool
    triggered: bool

    def read(self) -> Frame | None:
        """The next frame, or None at the proper end. Raises SourceError when the source fails."""

    def close(self) -> None:
        """Releases the device or file."""


def redacted(address: str) -> str:
    """An address without its user name and password, fit for logs and verdicts."""
    # Up to the last @, since people type passwords with @ and / as they are; cameras also take them as parameters.
    address = re.sub(r"(?<=://).*@", "…@", address)
    return re.sub(r"(?i)((?:user|login|pass|pwd|token|secret|key|auth)\w*=)[^&#\s]*", r"\1…", address)
