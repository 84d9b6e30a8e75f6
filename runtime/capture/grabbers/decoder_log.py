"""What FFmpeg complains about. Its decoders patch a damaged picture up and hand it out as a good one; only the log tells.

OpenCV writes that log to the process's stdout, which a camera's process has no other use for.
"""

from __future__ import annotations

import ctypes
import os
import re

_VARIABLE = "OPENCV_FFMPEG_LOGLEVEL"
LEVEL = "48"  # the lowest but one: that a picture is missing, on which others rest, is no error to FFmpeg
_COMPLAINT = re.compile(
    rb"\[OPENCV:FFMPEG:(?:(?:00|08|16)\] *(?P<error>.+)|(?:24|48)\] *(?P<loss>.*(?:missed \d+ packets|Frame num gap).*))"
)
_LINE_BUFFERED = 1
# Frames that are on their way through the decoder's threads when it complains: whether they are before or behind the damaged
# one is not known.
IN_FLIGHT = 16
LONGEST_S = 10.0  # a stream without whole pictures renews its parts in turn, and says nothing when it is done
WHOLE = ord("I")  # the type of a picture that needs no other


class DecoderLog:
    """This process's stdout, read along until it is closed. To be made before OpenCV first uses FFmpeg."""

    def __init__(self) -> None:
        self._level = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = LEVEL
        self._reading, writing = os.pipe()
        for end in (self._reading, writing):
            os.set_blocking(end, False)  # a full pipe must cost a line, not the camera
        self._stdout = os.dup(1)
        os.dup2(writing, 1)
        os.close(writing)
        libc = ctypes.CDLL(None)
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _LINE_BUFFERED, 0)

    def complaint(self) -> str | None:
        """The first complaint since the last call, if there was one."""
        try:
            data = os.read(self._reading, 1 << 16)
        except BlockingIOError:
            return None
        match = _COMPLAINT.search(data)
        return None if match is None else (match["error"] or match["loss"]).decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Gives the process its stdout back, and what it starts from then on the level of before."""
        if self._level is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = self._level
        os.dup2(self._stdout, 1)
        os.close(self._stdout)
        os.close(self._reading)


class Damage:
    """From a complaint on, pictures rest on a damaged one, until a whole one comes. Values in, values out."""

    def __init__(self) -> None:
        self._what: str | None = None
        self._since_s = 0.0
        self._frames = -1

    def see(self, complaint: str | None, picture_type: int, now_s: float) -> str | None:
        """What is wrong with the picture of that type (FFmpeg's letter) that came at `now_s`, or None. What is complained of
        before the first one concerns what was missed before the stream was joined."""
        joined, self._frames = self._frames >= 0, self._frames + 1
        if complaint is not None and joined:
            self._what, self._since_s, self._frames = complaint, now_s, 0
        elif (self._frames >= IN_FLIGHT and picture_type == WHOLE) or now_s - self._since_s >= LONGEST_S:
            self._what = None
        return self._what
