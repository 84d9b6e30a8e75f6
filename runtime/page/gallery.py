"""The pictures that the page shows: the newest frame while somebody looks, and the last rejects.

A sink: the judging thread only copies (a camera may write the next frame into the same memory), at most 15 times a
second for the live picture; shrinking and encoding happen in the threads that serve it, and in one of its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import cv2
import msgspec

from edgetl.runtime.mailbox import Mailbox
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sources.base import Frame
from edgetl.runtime.verdict import Verdict

KEPT = 36  # rejects; at 960 px some 100 to 200 KB each
_LIVE_EACH_S = 1 / 15
_REJECT_EACH_S = 0.5  # one costs some 10 ms; a line that rejects everything would do nothing else
_WANTED_S = 5.0  # after the last look
_KEPT_SIDE, _THUMBNAIL_SIDE = 960, 176
_KEPT_QUALITY, _THUMBNAIL_QUALITY = 92, 70


class Live(msgspec.Struct, frozen=True):
    """The newest frame with its number, and the newest verdict, which may be of an earlier frame."""

    number: int
    image: Image | None
    fault: str | None
    verdict: Verdict | None


class Reject(msgspec.Struct, frozen=True):
    """A part that was not OK: the picture and a thumbnail as JPEG, empty where the frame was lost, and the width of
    the frame, which may have been larger."""

    verdict: Verdict
    picture: bytes
    thumbnail: bytes
    width: int


class Gallery:
    """Keeps what is shown. `show` and `close` are called by the line, all else from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._live = Live(0, None, None, None)
        self._wanted_until = 0.0
        self._next_live = self._next_reject = 0.0
        self._rejects: OrderedDict[int, Reject] = OrderedDict()
        self._encoded: tuple[tuple[int, int, int], bytes] | None = None
        self._waiting: Mailbox[tuple[Image | None, Verdict]] = Mailbox(4, keep_all=False)
        self._thread = threading.Thread(target=self._keep, name="gallery", daemon=True)
        self._thread.start()

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        """Takes a frame from the line; never waits."""
        now = self._clock()
        if verdict is not None and verdict.verdict != "OK" and now >= self._next_reject:
            self._next_reject = now + _REJECT_EACH_S
            self._waiting.put((None if frame.image is None else frame.image.copy(), verdict))
        looked_at = now < self._wanted_until and (verdict is not None or now >= self._next_live)
        if verdict is None and not looked_at:
            return
        if looked_at:
            self._next_live = now + _LIVE_EACH_S
        image = frame.image.copy() if looked_at and frame.image is not None else None
        with self._changed:
            known = verdict or self._live.verdict
            number = self._live.number + looked_at
            self._live = Live(number, image if looked_at else self._live.image, frame.fault, known)
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the thread; what was kept can still be looked at."""
        self._waiting.close()
        self._thread.join()
        with self._changed:
            self._changed.notify_all()

    def newest(self, after: int, timeout_s: float) -> Live | None:
        """The newest frame once there is one with another number than `after`; None when none came in time."""
        with self._changed:
            self._wanted_until = self._clock() + timeout_s + _WANTED_S
            self._changed.wait_for(lambda: self._live.number not in (0, after), timeout_s)
            return self._live if self._live.number not in (0, after) else None

    def jpeg(self, live: Live, width: int, quality: int) -> bytes:
        """A live frame as JPEG, at most `width` wide; those who ask for the same share the work."""
        key = (live.number, width, quality)
        if (encoded := self._encoded) is not None and encoded[0] == key:
            return encoded[1]
        assert live.image is not None
        data = _jpeg(shrunk(live.image, width), quality)
        self._encoded = key, data
        return data

    def rejects(self) -> tuple[Verdict, ...]:
        """The last parts that were not OK, newest first."""
        with self._changed:
            return tuple(reject.verdict for reject in reversed(self._rejects.values()))

    def reject(self, sequence: int) -> Reject | None:
        """One of them, while it is kept."""
        with self._changed:
            return self._rejects.get(sequence)

    def _keep(self) -> None:
        while (item := self._waiting.get()) is not None:
            image, verdict = item
            picture = b"" if image is None else _jpeg(shrunk(image, _KEPT_SIDE), _KEPT_QUALITY)
            thumbnail = b"" if image is None else _jpeg(shrunk(image, _THUMBNAIL_SIDE), _THUMBNAIL_QUALITY)
            width = image.shape[1] if image is not None else 0
            with self._changed:
                self._rejects[verdict.sequence] = Reject(verdict, picture, thumbnail, width)
                while len(self._rejects) > KEPT:
                    self._rejects.popitem(last=False)


def shrunk(image: Image, width: int) -> Image:
    """The picture at most so wide; never enlarged."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small


def _jpeg(image: Image, quality: int) -> bytes:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
