"""Reads one picture file the same way in training and on the device, with its cost bounded before it is decoded.

Rules: grey becomes three equal channels, 16-bit is scaled to 8, alpha is dropped, EXIF orientation is applied,
of an animation the first frame counts. A file that is cut short, damaged where its format shows it, too large, or
no picture raises PictureError.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import cv2
import numpy as np

from edgetl.errors import PictureError
from edgetl.runtime.jpeg import check_jpeg, decode_jpeg, is_plain
from edgetl.runtime.preprocess import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
MAX_FILE_BYTES = 200_000_000  # a 100-megapixel 16-bit PNG stays below this
_JPEG = b"\xff\xd8"
MAX_PIXELS = 100_000_000  # 300 MB once decoded; also OpenCV's own limit, set in edgetl.runtime


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most MAX_FILE_BYTES; never hangs on a FIFO or reads a device."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror}") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):  # before fdopen, which raises an error of its own for a folder
        os.close(fd)
        raise PictureError(f"{path}: not a regular file")
    with os.fdopen(fd, "rb") as file:
        if status.st_size > MAX_FILE_BYTES:
            raise PictureError(f"{path}: {status.st_size} bytes, more than the limit of {MAX_FILE_BYTES}")
        return file.read(MAX_FILE_BYTES)


def decode(data: bytes, name: str) -> Image:
    """Decodes a picture file's bytes to H×W×3 uint8 BGR; `name` is for the message of a PictureError."""
    if not data:
        raise PictureError(f"{name}: the file is empty")
    _check_header(data, name)
    if data[:2] == _JPEG:
        if is_plain(data, _scan_start(data), name):
            return decode_jpeg(data, name)
        check_jpeg(data, name)
    try:
        image: Image | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PictureError(f"{name}: OpenCV cannot decode it ({error.err})") from error
    if image is None:
        raise PictureError(f"{name}: no picture, or a damaged one")
    return image


def read_picture(path: Path) -> Image:
    """Reads a picture file to H×W×3 uint8 BGR; raises PictureError."""
    return decode(read_bytes(path), str(path))


def _check_header(data: bytes, name: str) -> None:
    """Refuses by the header what would be too large once decoded, and a JPEG that was cut short."""
    import imagesize  # not above: it brings HTTP and TLS along, 8 MB that a device with a camera never uses

    try:
        width, height = imagesize.get(io.BytesIO(data))
    except Exception:  # imagesize raises whatever a damaged header makes it meet; OpenCV then has the last word
        width, height = -1, -1
    if width * height > MAX_PIXELS:
        raise PictureError(f"{name}: {width}×{height} pixels, more than the limit of {MAX_PIXELS}")
    # Some versions of OpenCV decode a cut-off JPEG to a picture that is grey from the cut on; the end marker tells.
    if data[:2] == _JPEG and b"\xff\xd9" not in data[_scan_start(data) :]:
        raise PictureError(f"{name}: the JPEG is cut short (no end marker)")


def _scan_start(data: bytes) -> int:
    """Where a JPEG's pixels begin: behind the headers, one of which may hold a thumbnail with end markers of its own."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        filler = data[at + 1 : at + 2] == b"\xff"
        at += 1 if filler else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at
