"""Square crops of the photographs in $EDGETL_DATA, those that quantize a net apart from those that judge it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec

from edgetl.errors import EdgetlError
from edgetl.runtime.dataset import pictures_below
from edgetl.runtime.files import write_file
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image

JUDGED = "judged"
SMALLEST = 0.5  # of a crop's side, against the picture's shorter one
SHARES = {"calibration": 64, "val": 16}  # crops; the others, train, show what channels are equalized by


class Source(msgspec.Struct, frozen=True):
    """A folder of photographs below the data's root, and how many crops are cut from each of them; one in `every` is taken.
    `judges`: whether its crops judge. None: those of half of the photographs do; files whose names are alike up to the first
    underscore show one thing and stay together."""

    name: str
    folder: str
    crops: int
    judges: bool | None = None
    every: int = 1


SOURCES = (
    Source("photos", "photos", crops=24),
    Source("trashnet", "data/trashnet/train", crops=1, judges=False, every=6),
    Source("trashnet", "data/trashnet/test", crops=1, judges=True),
)


def write_crops(root: Path, out: Path, sources: tuple[Source, ...] = SOURCES, seed: int = 0) -> Path:
    """Writes the crops as SOURCE-PHOTOGRAPH-NUMBER.png into `out`/judged, calibration, val and train, where `out` is not there
    yet. Returns `out`. Raises DatasetError, PictureError."""
    if out.is_dir():
        return out
    part, learning = out.with_name(out.name + ".part"), []
    for source in sources:
        for path, judges in divided(root / source.folder, source, seed):
            for number, crop in enumerate(crops_of(read_picture(path), source.crops, f"{seed} {path.name}")):
                name = f"{source.name}-{path.stem}-{number:02d}.png"
                if judges:
                    write_png(part / JUDGED / name, crop)
                else:
                    learning.append((name, crop))
    random.Random(seed).shuffle(learning)
    for place, (name, crop) in enumerate(learning):
        write_png(part / _split(place) / name, crop)
    return part.rename(out)


def divided(folder: Path, source: Source, seed: int) -> Iterator[tuple[Path, bool]]:
    """The photographs of a source, and whether each judges."""
    paths = [folder / picture.path for picture in pictures_below(folder)[0]][:: source.every]
    groups = sorted({_thing(path) for path in paths})
    judging = set(random.Random(seed).sample(groups, len(groups) // 2))
    for path in paths:
        yield path, _thing(path) in judging if source.judges is None else source.judges


def _thing(path: Path) -> str:
    return path.stem.partition("_")[0]


def crops_of(picture: Image, count: int, seed: str) -> Iterator[Image]:
    """Square crops of a picture (H×W×3), of any size down to SMALLEST and at any place."""
    numbers, (height, width) = random.Random(seed), picture.shape[:2]
    for _ in range(count):
        side = round(min(height, width) * numbers.uniform(SMALLEST, 1.0))
        top, left = numbers.randint(0, height - side), numbers.randint(0, width - side)
        yield picture[top : top + side, left : left + side]


def _split(place: int) -> str:
    for split, share in SHARES.items():
        if place < share:
            return split
        place -= share
    return "train"


def write_png(path: Path, picture: Image) -> None:
    """Writes a picture (H×W×3 BGR, or H×W grey). Raises EdgetlError, StorageError."""
    good, data = cv2.imencode(".png", picture)
    if not good:
        raise EdgetlError(f"{path}: OpenCV could not write this picture")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data.tobytes())
