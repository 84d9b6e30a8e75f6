"""Network streams (RTSP, RTSPS, UDP, TCP, HTTP that is no MJPEG) through OpenCV's FFmpeg."""

from __future__ import annotations

import os
import time
from collections import deque

import cv2

from edgetl.errors import SourceError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.asked import not_taken
from edgetl.runtime.capture.grabbers.base import Canvas, Grabbed
from edgetl.runtime.capture.grabbers.decoder_log import Damage, DecoderLog

_KNOWN = {"width": cv2.CAP_PROP_FRAME_WIDTH, "height": cv2.CAP_PROP_FRAME_HEIGHT, "fps": cv2.CAP_PROP_FPS}
# Enough to find one picture's format; FFmpeg's own 5 s and 5 MB let every reconnection last longer than needed.
_PROBE = "analyzeduration;500000|probesize;500000"


class Lag:
    """How much later than usual a frame comes, by its time stamp in the stream.

    The camera's clock and ours start anywhere and run apart (50 millionths are 4 s a day), so "usual" is the least
    distance of the last minutes. What grows beyond it is a queue in the network, the camera or this process.
    """

    def __init__(self, bucket_s: float = 10.0, buckets: int = 30) -> None:
        self._bucket_s = bucket_s
        self._least: deque[tuple[int, float]] = deque(maxlen=buckets)
        self._last_stamp_s = 0.0

    def of(self, stamp_s: float, now_s: float) -> float:
        """The lag in seconds of the frame stamped `stamp_s` that came at `now_s`; 0 for a stream without good stamps."""
        if not 0 < stamp_s - self._last_stamp_s < 30 and self._least:
            self._least.clear()  # the stream has no stamps, or began anew
        self._last_stamp_s = stamp_s
        distance, number = now_s - stamp_s, int(now_s / self._bucket_s)
        if self._least and self._least[-1][0] == number:
            distance_min = min(distance, self._least.pop()[1])
            self._least.append((number, distance_min))
        else:
            self._least.append((number, distance))
        return max(0.0, distance - min(least for _, least in self._least))


class StreamCamera:
    """A network stream. Both time limits are given at open: set later they come too late (30 s each)."""

    def __init__(self, address: str, config: CameraConfig) -> None:
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{config.transport}|{_PROBE}"
        self._timeout_s, self._strict = config.frame_timeout_s, config.strict
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * config.open_timeout_s)]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * config.frame_timeout_s)]
        self._log, self._damage = DecoderLog(), Damage()
        self._capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
        if not self._capture.isOpened():
            self._log.close()
            raise SourceError("the stream does not answer; check the cable, the address and the password")
        self._lag, self._canvas = Lag(), Canvas()
        has = {name: self._capture.get(prop) for name, prop in _KNOWN.items()}
        self.differs = not_taken(config, has)
        self.told = f"stream {has['width']:.0f}×{has['height']:.0f} at {has['fps']:g} a second"

    def grab(self, into: memoryview | None) -> Grabbed:
        """The next frame, as old as its time stamp says. One that came only at the limit is no news: FFmpeg then
        hands out what it still held of a stream that has stalled."""
        asked_s = time.monotonic()
        good = self._capture.grab()
        now_s = time.monotonic()
        if not good or now_s - asked_s >= 0.9 * self._timeout_s:
            raise SourceError(f"no frame came for {now_s - asked_s:.1f} s (cable, power or network)")
        lag_s = self._lag.of(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, now_s)
        if lag_s > self._timeout_s:
            raise SourceError(f"frames come {lag_s:.1f} s late; the stream is opened anew to catch up")
        damage = self._damage.see(self._log.complaint(), int(self._capture.get(cv2.CAP_PROP_FRAME_TYPE)), now_s)
        if into is None:
            return Grabbed(0, 0, now_s - lag_s)
        if damage is not None and self._strict:
            return Grabbed(0, 0, now_s, damage=f"the stream is damaged ({damage})")
        good, image = self._capture.retrieve(self._canvas.target(into))
        if not good or image is None:
            return Grabbed(0, 0, now_s, damage="a frame came that FFmpeg cannot decode")
        return Grabbed(*self._canvas.put(image, into), now_s - lag_s)

    def close(self) -> None:
        """Ends the connection."""
        self._capture.release()
        self._log.close()
