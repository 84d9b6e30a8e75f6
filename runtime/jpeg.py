"""Decodes JPEG strictly: what OpenCV would patch up in silence is an error here.

OpenCV gives a full-size picture for a JPEG with flipped or missing bytes and at best writes a line on stderr.
simplejpeg is libjpeg-turbo too (the pixels are equal to the bit), but says when the decoder had to guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.errors import PictureError

if TYPE_CHECKING:  # the process of a camera that sends JPEGs does not import OpenCV
    from edgetl.runtime.preprocess import Image

_COLOURS = frozenset({"YCbCr", "Gray"})  # the others (CMYK, YCCK) are left to OpenCV's conversion


def decode_jpeg(data: Any, name: str, into: memoryview | None = None) -> Image:
    """Decodes a whole JPEG (anything with the buffer protocol) to H×W×3 uint8 BGR.

    `into` takes the pixels where it is given (the array returned is a view of it), so that a stream needs no memory
    for each frame. Raises PictureError where the data are damaged, or the picture is too large for `into`.
    """
    import simplejpeg

    width, height = jpeg_size(data, name)
    if into is not None and width * height * 3 > len(into):
        raise PictureError(f"{name}: {width}×{height} pixels are more than the {len(into) // 3} that there is room for")
    try:
        pixels = simplejpeg.decode_jpeg(data, "BGR", buffer=into)
    except ValueError as error:
        raise PictureError(f"{name}: the JPEG is damaged ({error})") from error
    image: Image = np.asarray(pixels, np.uint8).reshape(height, width, 3)
    return image


def check_jpeg(data: Any, name: str) -> None:
    """Raises PictureError where a JPEG's data are damaged; an eighth of the size shows it at half the cost."""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_factor=8)
    except ValueError as error:
        raise PictureError(f"{name}: the JPEG is damaged ({error})") from error


def jpeg_size(data: Any, name: str) -> tuple[int, int]:
    """Width and height by the header. Raises PictureError where there is none."""
    return _header(data, name)[:2]


def is_plain(data: bytes, headers_end: int, name: str) -> bool:
    """Whether the pixels are meant as they stand: no orientation to apply and no printing colours."""
    return _header(data, name)[2] in _COLOURS and b"Exif\0\0" not in data[:headers_end]


def _header(data: Any, name: str) -> tuple[int, int, str]:
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise PictureError(f"{name}: no JPEG, or a damaged one ({error})") from error
    return width, height, colours
