"""Taking an MJPEG stream apart, however it is cut into packets and whatever its headers claim."""

from __future__ import annotations

import random

import pytest

from edgetl.errors import SourceError
from edgetl.runtime.capture.grabbers.multipart import MAX_HEADER_BYTES, MAX_PART_BYTES, MultipartParser

BODIES = [
    bytes([0xFF, 0xD8, number, *random.Random(number).randbytes(500 * number), 0xFF, 0xD9]) for number in range(6)
]


def stream(*, length: int | None = 0, end: bytes = b"\r\n", mark: bytes = b"--cut") -> bytes:
    """The bodies as multipart; `length` is added to the true one in the header, None leaves the header out."""
    out = b"preamble to be passed over\r\n"
    for body in BODIES:
        told = b"" if length is None else b"Content-Length: %d\r\n" % (len(body) + length)
        out += mark + b"\r\nContent-Type: image/jpeg\r\n" + told + b"\r\n" + body + end
    return out + mark + b"\r\n"


def parts(data: bytes, sizes: list[int], boundary: str = "cut") -> list[bytes]:
    """What the parser gives for data that come in pieces of these sizes in turn."""
    parser, found, at, turn = MultipartParser(boundary), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        parser.feed(data[at : at + size])
        at, turn = at + size, turn + 1
        while (part := parser.part()) is not None:
            found.append(bytes(part))
    return found


@pytest.mark.parametrize("sizes", [[1], [7], [1, 2, 1000], [100_000]])
@pytest.mark.parametrize("length", [0, None, 3, -3])
def test_parts_come_out_whole_however_they_are_cut_and_measured(sizes: list[int], length: int | None) -> None:
    assert parts(stream(length=length), sizes) == BODIES


@pytest.mark.parametrize("boundary", ["cut", "--cut", '"cut"', ' "--cut" '])
def test_boundary_is_found_as_cameras_write_it(boundary: str) -> None:
    assert parts(stream(), [4096], boundary) == BODIES


def test_part_with_a_length_comes_before_the_next_boundary_does() -> None:
    parser = MultipartParser("cut")
    parser.feed(b"--cut\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9")
    assert parser.part() == b"\xff\xd8\xff\xd9"
    assert parser.part() is None


@pytest.mark.parametrize("limit", [MAX_HEADER_BYTES, MAX_PART_BYTES])
def test_stream_without_an_end_is_refused_in_bounded_memory(limit: int) -> None:
    parser = MultipartParser("cut")
    if limit == MAX_PART_BYTES:
        parser.feed(b"--cut\r\n\r\n")
    with pytest.raises(SourceError, match="no MJPEG stream"):
        for _ in range(limit // 8192 + 2):
            parser.feed(bytes(8192))
            assert parser.part() is None
