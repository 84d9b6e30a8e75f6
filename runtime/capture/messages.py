"""What the line's process and a camera's process say to each other, one datagram each.

The address goes this way and not on the command line, where every user of the machine could read its password.
"""

from __future__ import annotations

import msgspec

from edgetl.runtime.capture.config import CameraConfig

MAX_MESSAGE_BYTES = 1 << 16


class Task(msgspec.Struct, frozen=True, tag=True):
    """To the child, first: which camera, and how it is to be set."""

    address: str
    config: CameraConfig


class Free(msgspec.Struct, frozen=True, tag=True):
    """To the child: nothing looks at that slot any more."""

    slot: int


class Opening(msgspec.Struct, frozen=True, tag=True):
    """From the child: the camera is being opened, which may take as long as its timeout."""


class Opened(msgspec.Struct, frozen=True, tag=True):
    """From the child: the camera is open. `told` says how it is set; `differs` where it did not take what was asked."""

    told: str
    differs: tuple[str, ...] = ()


class Taken(msgspec.Struct, frozen=True, tag=True):
    """From the child: a frame (height×width×3 BGR) lies in a slot; `skipped` frames before it found no room or were old.

    `arrived_s` is when it was taken, on the monotonic clock, which is the same in both processes.
    """

    slot: int
    width: int
    height: int
    arrived_s: float
    skipped: int = 0


class Lost(msgspec.Struct, frozen=True, tag=True):
    """From the child: a frame that came and cannot be trusted (`camera_gone` False), or no frame comes. `skipped` as above."""

    reason: str
    camera_gone: bool = True
    missing_part: bool = False
    skipped: int = 0


class Alive(msgspec.Struct, frozen=True, tag=True):
    """From the child, while it waits before it tries again, or passes frames over; `skipped` as above."""

    skipped: int = 0


FromChild = Opening | Opened | Taken | Lost | Alive
ToChild = Task | Free

encode = msgspec.msgpack.Encoder().encode
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
decode_from_child, decode_to_child = _from_child.decode, _to_child.decode
