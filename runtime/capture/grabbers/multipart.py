"""Takes `multipart/x-mixed-replace` apart: the stream of JPEGs that network cameras send over HTTP. No I/O."""

from __future__ import annotations

from edgetl.errors import SourceError

MAX_PART_BYTES = 32_000_000
MAX_HEADER_BYTES = 16_384
_FIRST_BYTES = 1 << 18
_JPEG_END = b"\xff\xd9"


class MultipartParser:
    """Bytes in as they come, whole parts out. Its memory grows to what the stream needs and is then used again."""

    def __init__(self, boundary: str) -> None:
        # Cameras write the boundary with or without its two hyphens; both start with a line of hyphens and the name.
        self._mark = b"--" + boundary.strip().strip('"').removeprefix("--").encode("latin-1")
        self._data, self._part = bytearray(_FIRST_BYTES), bytearray()
        self._start = self._filled = 0  # what is held of the stream lies between these
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        if self._filled + len(data) > len(self._data):
            self._make_room(len(data))
        memoryview(self._data)[self._filled : self._filled + len(data)] = data
        self._filled += len(data)

    def _make_room(self, needed: int) -> None:
        held = self._filled - self._start
        room = self._data if held + needed <= len(self._data) // 2 else bytearray(2 * (held + needed))
        memoryview(room)[:held] = memoryview(self._data)[self._start : self._filled]
        self._data, self._searched = room, max(0, self._searched - self._start)
        self._start, self._filled = 0, held

    def part(self) -> memoryview | None:
        """The next whole part's body, or None while it is not complete; the next call may write over it. Raises
        SourceError where the stream is no multipart."""
        begin = self._find(self._mark, self._start)
        if begin < 0:
            self._check(self._start, MAX_HEADER_BYTES)
            return None
        head_end = self._find(b"\r\n\r\n", begin)
        if head_end < 0:
            self._check(begin, MAX_HEADER_BYTES)
            return None
        body = head_end + 4
        end = self._end(bytes(self._data[begin:head_end]), body)
        if end is None:
            self._check(begin, MAX_PART_BYTES)
            return None
        self._start = end
        return self._copied(body, end)

    def _copied(self, begin: int, end: int) -> memoryview:
        """These bytes where the next ones that come are not written over them."""
        if len(self._part) < end - begin:
            self._part = bytearray((end - begin) * 5 // 4)
        part = memoryview(self._part)[: end - begin]
        part[:] = memoryview(self._data)[begin:end]
        return part

    def _find(self, what: bytes, begin: int) -> int:
        return self._data.find(what, begin, self._filled)

    def _end(self, head: bytes, body: int) -> int | None:
        """Where the body ends: by its stated length if a JPEG ends there, else before the next boundary."""
        length = _length(head)
        end = body + (length or 0)
        if length is not None and end <= self._filled and self._data[end - 2 : end] == _JPEG_END:
            return end
        boundary = self._find(self._mark, max(body, self._searched))
        if boundary < 0:
            self._searched = max(body, self._filled - len(self._mark))  # what was searched is not searched again
            return None
        return boundary - 2 if self._data[boundary - 2 : boundary] == b"\r\n" else boundary

    def _check(self, begin: int, limit: int) -> None:
        if self._filled - begin > limit:
            raise SourceError(f"no end of a picture within {limit} bytes; this is no MJPEG stream")


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return min(int(value), MAX_PART_BYTES)
    return None
