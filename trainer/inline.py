"""Pictures inside a page that needs nothing beside it."""

from __future__ import annotations

import base64

import cv2

from edgetl.runtime.preprocess import Image

_QUALITY = 82


def inlined(image: Image, side: int) -> str:
    """A BGR picture as the `src` of an <img>: JPEG, its longer side `side` pixels."""
    scale = side / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
