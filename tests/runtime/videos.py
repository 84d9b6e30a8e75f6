"""Video files written by OpenCV, and broken ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.runtime import tiny


def write(path: Path, frames: int = 40, fps: float = 10.0, size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose frame n is plain red, green or blue in turn, with n told by its brightness."""
    codec = {".avi": "MJPG", ".mp4": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    assert writer.isOpened()
    for number in range(frames):
        image = tiny.plain(tiny.LABELS[number % 3], *size)
        writer.write(np.where(image > 0, np.uint8(255 - 2 * number), image))
    writer.release()
    return path


def index_first(data: bytes) -> bytes:
    """An MP4 with its index (moov) before its pictures (mdat), as files made for streaming have it."""
    boxes, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        boxes[data[at + 4 : at + 8]] = (at, size)
        at += size
    moov_at, moov_size = boxes[b"moov"]
    mdat_at, _ = boxes[b"mdat"]
    moov = bytearray(data[moov_at : moov_at + moov_size])
    table = moov.index(b"stco")
    for entry in range(int.from_bytes(moov[table + 8 : table + 12], "big")):
        place = table + 12 + 4 * entry
        offset = int.from_bytes(moov[place : place + 4], "big") + moov_size
        moov[place : place + 4] = offset.to_bytes(4, "big")
    return data[:mdat_at] + bytes(moov) + data[mdat_at:moov_at] + data[moov_at + moov_size :]
