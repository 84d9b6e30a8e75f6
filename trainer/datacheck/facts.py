"""What can be said of each picture without a model: its file, its camera, its light."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import imagesize
import msgspec
from PIL import Image as Pillow

from edgetl.runtime.picture import read_bytes
from edgetl.runtime.reference import figures_of
from edgetl.trainer.store import Store

_EXIF_MAKE, _EXIF_MODEL = 271, 272


class PictureFacts(msgspec.Struct, frozen=True):
    """One readable picture. `split` is what its folder says; `figures` are those of the model's input (brightness,
    contrast, colour shares, sharpness, …); `camera` is empty where the file does not name one."""

    path: str
    label: str
    split: str | None
    sha256: str
    width: int
    height: int
    camera: str
    figures: dict[str, float]


def facts_of(root: Path, store: Store, advance: Callable[[int], None] = lambda _: None) -> list[PictureFacts]:
    """The facts of every picture of a store, in its order."""
    found = []
    for i, sample in enumerate(store.samples):
        data = read_bytes(root / sample.path)
        width, height = _shape(data)
        found.append(
            PictureFacts(
                sample.path, sample.label, sample.fixed, sample.sha256, width, height, _camera(data),
                figures_of(store.images[i]),
            )
        )  # fmt: skip
        advance(i + 1)
    return found


def _shape(data: bytes) -> tuple[int, int]:
    try:
        width, height = imagesize.get(io.BytesIO(data))
    except Exception:  # a damaged header makes it raise anything; the picture itself was decoded
        return 0, 0
    return max(0, int(width)), max(0, int(height))


def _camera(data: bytes) -> str:
    """Maker and model from EXIF; files without it (PNG, frames of a video) have none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF, which is of no consequence here
            exif = Pillow.open(io.BytesIO(data)).getexif()
        return " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (_EXIF_MAKE, _EXIF_MODEL)).strip()
    except Exception:  # Pillow raises many types for damaged metadata
        return ""
