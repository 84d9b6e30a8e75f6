"""A contact sheet of what the model will see: each picture as it is, then as training changes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
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
from edgetl.trainer.augment import PRESETS, Augmentation, augment, without_colour
from edgetl.trainer.network import pixels_of
from edgetl.trainer.run_folder import read_run
from edgetl.trainer.settings import Settings

PRESET = "scene"  # where nothing else is asked for
CHANGED = 6  # columns beside the first
_CELL, _GAP, _TITLE = 148, 4, 20


class View(msgspec.Struct, frozen=True):
    """What a model sees in training: pictures (paths below `data`) of each class, how they are cut and how they are changed."""

    data: Path
    pictures: dict[str, list[str]]
    preprocessing: Preprocessing
    augmentation: str


def view_of(folder: Path, augmentation: str | None, **preprocessing: Any) -> View:
    """That of a data set, or of a run what it was trained on; what is given counts instead. Raises DatasetError, UsageError and, of a
    run, RunError."""
    pictures: dict[str, list[str]] = defaultdict(list)
    if (folder / "args.yaml").is_file():
        run = read_run(folder)
        data, how, preset = Path(run.settings.data), run.record.preprocessing, _of_run(run.settings)
        found = [(p.label, p.path) for p in run.splits if p.split == "train"]
        if not data.is_dir():
            raise DatasetError(
                f"{data}: no such folder; {folder} was trained on it, so name where its pictures are now instead"
            )
    else:
        listing = list_pictures(folder)
        data, how, preset = folder, Preprocessing(), PRESET
        found = [(p.label, p.path) for p in listing.pictures if p.split in (None, "train")]
    for label, path in found:
        pictures[label].append(path)
    given = {name: value for name, value in preprocessing.items() if value is not None}
    return View(data, dict(pictures), msgspec.structs.replace(how, **given), augmentation or preset)


def _of_run(settings: Settings) -> str:
    """How a run changed its pictures: not at all where it fitted a head, or remembered good parts."""
    return "none" if settings.recipe in ("probe", "one-class") else settings.augmentation


def write_preview(view: View, out: Path, seed: int = 0) -> int:
    """Writes a PNG with two rows a class and returns the number of rows. Raises DatasetError, StorageError."""
    shown = list(_looked_at(view))
    if not shown:
        raise DatasetError(f"{view.data}: none of the pictures looked at can be read")
    grey = all(without_colour(image) for _, image in shown)
    how = PRESETS[view.augmentation]
    rows = [(title, [image, *_changed(image, how, seed + n, grey)]) for n, (title, image) in enumerate(shown)]
    write_file(out, cv2.imencode(".png", _sheet(rows))[1].tobytes())
    return len(rows)


def _looked_at(view: View) -> Iterator[tuple[str, Image]]:
    """Two pictures a class, with their titles."""
    for label, paths in sorted(view.pictures.items()):
        for path in paths[:: max(1, len(paths) // 2)][:2]:
            try:
                yield f"{label}   {path}", preprocess(read_picture(view.data / path), view.preprocessing)
            except PictureError:
                continue


def _changed(image: Image, how: Augmentation, seed: int, grey: bool) -> list[Image]:
    pixels = pixels_of(torch.from_numpy(np.stack([image] * CHANGED)))
    found = augment(pixels, how, torch.Generator().manual_seed(seed), grey=grey)
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
