"""The sections `trigger`, `regions` and `voting` of a line's file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edgetl.errors import UsageError

Positive = Annotated[float, msgspec.Meta(gt=0, le=86400)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Box = tuple[float, float, float, float]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section: frozen, and a key that it does not know is refused."""


class _Trigger(_Record, frozen=True, kw_only=True, tag_field="type"):
    """What all triggers share: a part gets the next `frames` frames, from `delay_s` after its signal on.

    Without a frame by `timeout_s` after that, its verdict is FAULT. A signal within `min_gap_s` of the last is a bounce.
    """

    frames: Count = 1
    delay_s: Seconds = 0.0
    timeout_s: Positive = 1.0
    min_gap_s: Seconds = 0.0


class EveryFrame(_Record, frozen=True, kw_only=True, tag="every-frame", tag_field="type"):
    """Each frame is a part of its own, as from a camera that the light barrier itself triggers."""


class SourceTrigger(_Trigger, frozen=True, kw_only=True, tag="source"):
    """The source says when a part is in place, as `sim:` with its light barrier does."""


class TimerTrigger(_Trigger, frozen=True, kw_only=True, tag="timer"):
    """A part every `every_s`; in a recording by its own time."""

    every_s: Positive


class PictureTrigger(_Record, frozen=True, kw_only=True, tag="picture", tag_field="type"):
    """A part is there when `zone` differs from the empty belt, and gone when it no longer does.

    The empty belt is learned from the first `learn_frames` frames, or is the picture `empty`. A part enters when at
    least `enter_share` of the zone differs in `settle_frames` frames running, and leaves below `leave_share`.
    Up to `frames` of its frames are judged.
    """

    zone: Box = (0.35, 0.0, 0.65, 1.0)
    empty: str | None = None
    learn_frames: Annotated[int, msgspec.Meta(ge=1, le=10000)] = 10
    enter_share: Share = 0.05
    leave_share: Share = 0.025
    settle_frames: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    contrast: Annotated[float, msgspec.Meta(ge=1, le=255)] = 18.0
    frames: Count = 3

    def __post_init__(self) -> None:
        check_box("trigger: zone", self.zone)
        if not self.leave_share < self.enter_share:
            raise UsageError("trigger: leave_share must be below enter_share, or one part would count many times")


class GpioTrigger(_Trigger, frozen=True, kw_only=True, tag="gpio"):
    """An edge on an input pin, through libgpiod; the kernel notes its time."""

    line: Annotated[int, msgspec.Meta(ge=0, le=1023)]
    chip: str = "/dev/gpiochip0"
    edge: Literal["rising", "falling"] = "rising"
    debounce_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.001
    bias: Literal["as-is", "pull-up", "pull-down", "disabled"] = "as-is"


class MqttTrigger(_Trigger, frozen=True, kw_only=True, tag="mqtt"):
    """A message on a topic. The password is read from the environment variable `password_env`."""

    topic: str
    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password_env: str | None = None
    tls: bool = False


class ModbusTrigger(_Trigger, frozen=True, kw_only=True, tag="modbus"):
    """A coil that a PLC sets, read every `poll_s`; `acknowledge` sets it back, so that the PLC sees it was taken."""

    host: str
    coil: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    port: Port = 502
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    poll_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.005
    acknowledge: bool = True


class HttpTrigger(_Trigger, frozen=True, kw_only=True, tag="http"):
    """POST /trigger. Beyond this machine only with a token, which is read from the environment variable `token_env`."""

    host: str = "127.0.0.1"
    port: Port = 8081
    token_env: str | None = None

    def __post_init__(self) -> None:
        if self.token_env is None and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise UsageError(f"trigger: host {self.host} can be reached from outside; set token_env, or use 127.0.0.1")


# The signal comes from outside of the frames.
OutsideTrigger = GpioTrigger | MqttTrigger | ModbusTrigger | HttpTrigger
TriggerSettings = EveryFrame | SourceTrigger | TimerTrigger | PictureTrigger | OutsideTrigger


class RegionSettings(_Record, frozen=True, kw_only=True):
    """One place of the frame with an answer of its own.

    `box` is x0, y0, x1, y1: fractions of the frame if none is above 1, else pixels. `expect` names the labels that
    are good here; without it those of the bundle are. `min_score` overrules the bundle's.
    """

    name: str
    box: Box
    expect: str | tuple[str, ...] | None = None
    min_score: Share | None = None

    def __post_init__(self) -> None:
        check_box(f"regions: {self.name}", self.box)


class VotingSettings(_Record, frozen=True, kw_only=True):
    """How the frames of a part become one answer.

    `majority`: the verdict that most frames give; a tie is UNKNOWN. `mean`: the mean of the frames' probabilities
    is judged as one. `any-ng`: one NG frame is enough. With fewer than `min_frames` judged frames: UNKNOWN.
    """

    method: Literal["majority", "mean", "any-ng"] = "majority"
    min_frames: Count = 1


def check_box(what: str, box: Box) -> None:
    """Raises UsageError unless the box has an area and begins inside the frame."""
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        raise UsageError(f"{what}: box {list(box)} must be x0, y0, x1, y1 with 0 <= x0 < x1 and 0 <= y0 < y1")


def check_voting(trigger: TriggerSettings | None, voting: VotingSettings) -> None:
    """Raises UsageError where no part could ever have as many frames as a vote needs."""
    frames = getattr(trigger, "frames", 1)
    if voting.min_frames > frames:
        raise UsageError(
            f"voting: min_frames {voting.min_frames} is more than the {frames} frames that trigger gives a part; "
            "every verdict would be UNKNOWN"
        )
