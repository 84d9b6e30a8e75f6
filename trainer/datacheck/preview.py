"""A contact sheet of what the model will see: each picture as it is, then as training changes it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib import get_data_path
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from edgetl.errors import DatasetError, PictureError
from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.files import write_file
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image, Preprocessing, preprocess
from edgetl.trainer.augment import PRESETS, augment
from edgetl.trainer.network import pixels_of

CHANGED = 6  # columns beside the first
_CELL, _GAP, _TITLE = 148, 4, 20


def write_preview(data: Path, how: Preprocessing, preset: str, out: Path, seed: int = 0) -> int:
    """Writes a PNG with two rows a class and returns the number of rows. Raises DatasetError, StorageError."""
    listing = list_pictures(data)
    rows: list[tuple[str, list[Image]]] = []
    for label in listing.labels:
        paths = [p.path for p in listing.pictures if p.label == label and p.split in (None, "train")]
        for path in paths[:: max(1, len(paths) // 2)][:2]:
            try:
                image = preprocess(read_picture(data / path), how)
            except PictureError:
                continue
            rows.append((f"{label}   {path}", [image, *_changed(image, preset, seed + len(rows))]))
    if not rows:
        raise DatasetError(f"{data}: none of the pictures looked at can be read")
    write_file(out, cv2.imencode(".png", _sheet(rows))[1].tobytes())
    return len(rows)


def _changed(image: Image, preset: str, seed: int) -> list[Image]:
    pixels = pixels_of(torch.from_numpy(np.stack([image] * CHANGED)))
    found = augment(pixels, PRESETS[preset], torch.Generator().manual_seed(seed))
    return list(found.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy())


def _sheet(rows: list[tuple[str, list[Image]]]) -> Image:
    """All rows under their titles, as BGR."""
    height = len(rows) * (_CELL + _GAP + _TITLE)
    sheet = Pillow.new("RGB", ((CHANGED + 1) * (_CELL + _GAP), height), (245, 245, 243))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 13)
    for i, (title, images) in enumerate(rows):
        top = i * (_CELL + _GAP + _TITLE)
        draw.text((4, top + 2), title, (40, 40, 40), font)
        for column, image in enumerate(images):
            cell = cv2.resize(image, (_CELL, _CELL), interpolation=cv2.INTER_AREA)
            sheet.paste(Pillow.fromarray(cell), (column * (_CELL + _GAP), top + _TITLE))
    return np.ascontiguousarray(np.asarray(sheet)[:, :, ::-1])
