"""Sets that are harder than the public ones, made of them, of the drawn part and of drawn surfaces by rule: few pictures, some
classes with far fewer than others, grey, small, large. Nothing is tuned to them; they show whether what was found on the public sets holds elsewhere.
"""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edgetl.benchmarks.drawn_surfaces import LABELS, drawn_surface
from edgetl.benchmarks.photograph_crops import write_png
from edgetl.benchmarks.real_pictures import SETS
from edgetl.runtime.dataset import pictures_below
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sim import write_dataset

DRAWN, SURFACES = "drawn part", "drawn surfaces"


class Derived(msgspec.Struct, frozen=True):
    """`source`: a public set, the drawn part, or surfaces. `counts`: training pictures of each class, by name; the last one counts for all
    that follow. `grey`: without colour. `side`: of the longer side in pixels, where not as it is."""

    source: str
    counts: tuple[int, ...]
    grey: bool = False
    side: int | None = None

    def count(self, number: int) -> int:
        """Training pictures of a class, by its place among the names."""
        return self.counts[min(number, len(self.counts) - 1)]


DERIVED = {
    "trashnet-grey-60": Derived("trashnet", (40,), grey=True, side=60),
    "trashnet-lopsided": Derived("trashnet", (90, 20, 15, 12, 15, 20)),
    "extrusion-lopsided": Derived("extrusion", (300, 15)),
    "screws-12": Derived("screws", (12,)),
    "drawn-3000-lopsided": Derived(DRAWN, (150, 12), side=3000),
    "surfaces-25": Derived(SURFACES, (25,)),
    "surfaces-lopsided": Derived(SURFACES, (150, 12)),
}
TEST_PER_CLASS, ASPECT = 25, 0.75  # of the drawn part
SURFACES_PER_CLASS = 50  # of test


def write_derived(name: str, root: Path, out: Path, seed: int = 0) -> Path:
    """Writes a set with its train and test folders into `out`, where it is not there yet; the seed chooses the training pictures.
    `root`: the folder of the public sets. Returns `out`. Raises DatasetError, PictureError, EdgetlError."""
    if out.is_dir():
        return out
    how, part = DERIVED[name], out.with_name(out.name + ".part")
    if how.source == DRAWN:
        side, largest = how.side or 640, max(how.counts)
        drawn = out.with_name(out.name + ".drawn")
        share = largest / (largest + TEST_PER_CLASS)
        write_dataset(drawn, seed=seed, pictures_per_class=largest + TEST_PER_CLASS, width=side, height=round(ASPECT * side),
                      splits={"train": share, "test": 1 - share})  # fmt: skip
        _choose(drawn, part, how, seed)
    elif how.source == SURFACES:
        _draw_surfaces(part, how, seed)
    else:
        _choose(root / SETS[how.source], part, how, seed)
    return part.rename(out)


def _choose(source: Path, target: Path, how: Derived, seed: int) -> None:
    """All test pictures of a set and the training pictures that are wanted, each as it shall be."""
    for split in ("train", "test"):
        classes = sorted(folder.name for folder in (source / split).iterdir() if folder.is_dir())
        for number, label in enumerate(classes):
            folder = source / split / label
            paths = sorted(folder / picture.path for picture in pictures_below(folder)[0])
            if split == "train":
                paths = random.Random(f"{seed} {label}").sample(paths, min(how.count(number), len(paths)))
            for path in paths:
                _lay(path, target / split / label, how)


def _draw_surfaces(target: Path, how: Derived, seed: int) -> None:
    """Surfaces with and without defects, one after the other from one seed."""
    rng = np.random.default_rng(seed)
    for number, label in enumerate(LABELS):
        for split, count in (("train", how.count(number)), ("test", SURFACES_PER_CLASS)):
            for picture in range(count):
                write_png(target / split / label / f"{picture:04d}.png", drawn_surface(label, rng))


def _lay(path: Path, folder: Path, how: Derived) -> None:
    if how.grey or (how.side is not None and how.source != DRAWN):  # the drawn part is drawn at its size
        write_png(folder / f"{path.stem}.png", changed(read_picture(path), how))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path.resolve())


def changed(picture: Image, how: Derived) -> Image:
    """A picture (H×W×3 BGR) as the set shows it (h×w×3, or h×w where it is grey)."""
    if how.side is not None:
        scale = how.side / max(picture.shape[:2])
        size = (max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0])))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if how.grey else picture
