"""MJPEG over HTTP, read by ourselves: each JPEG is seen whole and decoded strictly, and only the newest one counts."""

from __future__ import annotations

import re
import select
import socket
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from edgetl.errors import PictureError, RefusedError, SourceError
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.capture.grabbers.asked import not_taken
from edgetl.runtime.capture.grabbers.base import Grabbed
from edgetl.runtime.capture.grabbers.multipart import MultipartParser
from edgetl.runtime.jpeg import decode_jpeg, jpeg_size

_CHUNK_BYTES = 1 << 16
_JPEG_END = re.compile(rb"\xff\xd9[\0\r\n]*\Z")
_USUAL_PADDING_BYTES = 4096


class NoMjpegError(Exception):
    """The address answers with something else, which FFmpeg may know."""


class MjpegCamera:
    """A camera that sends JPEGs as `multipart/x-mixed-replace`."""

    told = "MJPEG over HTTP"

    def __init__(self, address: str, config: CameraConfig) -> None:
        self._timeout_s = config.frame_timeout_s
        self.differs = not_taken(config, {})
        self._response, self._socket = _opened(address, config.open_timeout_s)
        kind, _, parameters = self._response.headers.get("Content-Type", "").partition(";")
        if kind.strip().lower() != "multipart/x-mixed-replace":
            self._response.close()
            raise NoMjpegError
        boundary = parameters.partition("boundary=")[2].partition(";")[0] or "boundary"
        self._parser = MultipartParser(boundary)

    def grab(self, into: memoryview | None) -> Grabbed:
        """The newest JPEG that has come, waiting for one if need be."""
        newest, skipped = self._newest()
        now_s = time.monotonic()
        if into is None:
            return Grabbed(0, 0, now_s, skipped)
        try:
            if not _ends_as_jpeg(newest):
                raise PictureError("frame: the JPEG is cut short")
            width, height = jpeg_size(newest, "frame")
            decode_jpeg(newest, "frame", into)
        except PictureError as error:
            return Grabbed(0, 0, now_s, skipped, damage=str(error))
        return Grabbed(width, height, now_s, skipped)

    def _newest(self) -> tuple[memoryview, int]:
        """The last whole part among the bytes that have come, and how many were passed over for it."""
        deadline_s = time.monotonic() + self._timeout_s
        newest, skipped = None, -1
        while newest is None or self._more_waits():
            while (part := self._parser.part()) is not None:
                newest, skipped = part, skipped + 1
            if newest is not None and not self._more_waits():
                break
            try:
                self._receive(deadline_s)
            except SourceError:
                if newest is None:
                    raise
                break  # the next call meets the end again
        return newest, skipped

    def _more_waits(self) -> bool:
        return bool(select.select([self._response.fileno()], [], [], 0)[0])

    def _receive(self, deadline_s: float) -> None:
        # A peer that sends a byte now and then would keep a fixed time limit of the socket from ever striking.
        left_s = deadline_s - time.monotonic()
        try:
            self._socket.settimeout(max(left_s, 0.001))
            data = self._response.read1(_CHUNK_BYTES)
        except TimeoutError as error:
            raise SourceError(f"no frame came for {self._timeout_s:g} s (cable, power or network)") from error
        except (OSError, HTTPException) as error:
            raise SourceError(f"the stream broke off ({error or type(error).__name__})") from error
        if not data:
            raise SourceError("the camera ended the stream")
        self._parser.feed(data)

    def close(self) -> None:
        """Hangs up."""
        self._response.close()


def _ends_as_jpeg(data: memoryview) -> bool:
    """Whether a JPEG's end is there; some cameras fill up behind it."""
    return bool(_JPEG_END.search(data, len(data) - _USUAL_PADDING_BYTES) or _JPEG_END.search(data))


class _Plain(urllib.request.HTTPHandler):
    """Opens http:// and keeps hold of the socket, whose time limit is set anew before each read."""

    socket: socket.socket

    def _connection(self, host: str, **options: Any) -> HTTPConnection:
        connection = HTTPConnection(host, **options)
        connection.connect()
        self.socket = connection.sock
        return connection

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connection, request)


class _Secure(urllib.request.HTTPSHandler):
    """The same for https://."""

    socket: socket.socket

    def _connection(self, host: str, **options: Any) -> HTTPSConnection:
        connection = HTTPSConnection(host, **options)
        connection.connect()
        self.socket = connection.sock
        return connection

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connection, request)


def _opened(address: str, timeout_s: float) -> tuple[HTTPResponse, socket.socket]:
    parts = urlsplit(address)
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        passwords.add_password(None, plain, unquote(parts.username), unquote(parts.password or ""))
    way = _Secure() if parts.scheme == "https" else _Plain()
    opener = urllib.request.build_opener(
        way,
        urllib.request.ProxyHandler({}),  # a camera is on the line's own network
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    )
    try:
        return opener.open(plain, timeout=timeout_s), way.socket
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            raise RefusedError(f"the camera refuses the user name or password (HTTP {error.code})") from error
        raise SourceError(f"the camera answers with HTTP {error.code} ({error.reason}); check the address") from error
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        reason = getattr(cause, "strerror", None) or cause
        raise SourceError(f"the camera does not answer ({reason}); check the cable and the address") from error
