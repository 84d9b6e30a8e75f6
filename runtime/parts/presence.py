"""Is a part there? Told from the picture itself, by what differs from the empty belt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.runtime.parts.gate import PartMark, Step
from edgetl.runtime.parts.regions import cut
from edgetl.runtime.parts.settings import PictureTrigger
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame

Small = NDArray[np.float32]

SIDE = 48  # the zone is looked at in so many cells each way: a part, not a grain of dust
_POINTS = 4  # looked at in each cell, each way; whole frames by area would take ten times as long
_FOLLOW = 0.02  # share by which the belt's picture follows a frame without a part: dirt and daylight in some seconds


def shrunk(zone: Image) -> Small:
    """A zone (H×W×3 uint8) as SIDE×SIDE×3 means of a few points each."""
    points = cv2.resize(zone, (SIDE * _POINTS, SIDE * _POINTS), interpolation=cv2.INTER_NEAREST)
    small: Image = cv2.resize(points, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def differing(small: Small, belt: Small, contrast: float) -> float:
    """The share of cells that differ from the empty belt by more than `contrast` (of 255) in some colour.

    A change that the whole zone shares is the lamp's or the camera's, and is left out.
    """
    difference = small - belt
    difference -= np.median(difference[::4, ::4].reshape(-1, 3), axis=0)
    return float((np.abs(difference).max(axis=2) > contrast).mean())


class Belt:
    """The picture of the empty belt: given, or the median of the first frames; then it follows slow changes."""

    def __init__(self, learn_frames: int, empty: Small | None = None) -> None:
        self._seen: deque[Small] = deque(maxlen=learn_frames)
        self.picture = empty

    def learn(self, small: Small) -> None:
        """One of the first frames; after the last of them there is a picture."""
        self._seen.append(small)
        if len(self._seen) == self._seen.maxlen:
            self.picture = np.median(np.stack(self._seen), axis=0)
            self._seen.clear()

    def follow(self, small: Small) -> None:
        """A frame without a part."""
        if self.picture is not None:
            self.picture += _FOLLOW * (small - self.picture)


class Presence:
    """Enters above one share of the zone, leaves below a lower one, each only after some frames running."""

    def __init__(self, enter_share: float, leave_share: float, settle_frames: int) -> None:
        self._enter, self._leave, self._settle = enter_share, leave_share, settle_frames
        self._running = 0
        self.inside = False

    def see(self, share: float) -> bool:
        """Takes one frame's differing share; returns whether a part is inside."""
        crossed = share < self._leave if self.inside else share >= self._enter
        self._running = self._running + 1 if crossed else 0
        if self._running >= self._settle:
            self.inside, self._running = not self.inside, 0
        return self.inside


class PictureGate:
    """A part for each time that something enters the zone. A frame without a picture changes nothing."""

    def __init__(self, settings: PictureTrigger, read: Callable[[Path], Image] = read_picture) -> None:
        self._settings = settings
        empty = None if settings.empty is None else shrunk(cut(read(Path(settings.empty)), settings.zone))
        self._belt = Belt(settings.learn_frames, empty)
        self._presence = Presence(settings.enter_share, settings.leave_share, settings.settle_frames)
        self._here: PartMark | None = None
        self._count = self._taken = 0
        self.share = 0.0

    def step(self, frame: Frame) -> Step:
        """Looks at the zone, and judges the first frames of a part."""
        if frame.image is None:
            return self._fault_step()
        small = shrunk(cut(frame.image, self._settings.zone))
        if self._belt.picture is None:
            self._belt.learn(small)
            return Step()
        self.share = differing(small, self._belt.picture, self._settings.contrast)
        was, inside = self._presence.inside, self._presence.see(self.share)
        if not inside and self.share < self._settings.leave_share:
            self._belt.follow(small)
        if inside and not was:
            self._count, self._taken = self._count + 1, 0
            self._here = PartMark(self._count, frame.time_s, frame.arrived_s)
        if was and not inside:
            return Step(ended=self.finish())
        return self._taking()

    def _taking(self) -> Step:
        if self._here is None:
            return Step()
        part, self._taken = self._here, self._taken + 1
        last = self._taken == self._settings.frames
        if last:
            self._here = None
        return Step(judged=True, part=part, last=last)

    def _fault_step(self) -> Step:
        """While a part is being judged, a lost frame is one of its frames."""
        return self._taking() if self._here is not None else Step()

    def finish(self) -> tuple[PartMark, ...]:
        """The part that has not had all of its frames, if any."""
        ended = () if self._here is None else (self._here,)
        self._here = None
        return ended

    @property
    def idle(self) -> bool:
        """Whether nothing is in the zone."""
        return not self._presence.inside
